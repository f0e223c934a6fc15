// Models of random weights in packed form, made in memory at its speed: to size and measure a model before it is
// downloaded. No files.
#pragma once

#include <memory>
#include <string_view>

#include "engine/base/result.h"
#include "engine/kernels/sparsity.h"
#include "engine/platform/memory.h"
#include "shard/format_choice.h"
#include "shard/manifest.h"
#include "shard/plan.h"
#include "shard/slice.h"

namespace colonnade::shard {

struct SyntheticOptions {
  FormatRules rules = {};
  engine::Sparsity sparsity = {};  // of attention and feed-forward; embedding and head are dense
  int max_layers = 0;              // the first of them; 0: all
};

/// Thread-safe once made.
class SyntheticModel {
 public:
  /// `shape` is a name of known_shapes.h, or a config.json or the directory of one. Formats are chosen as pack does it.
  static Result<SyntheticModel> make(std::string_view shape, const SyntheticOptions& options);

  /// Without files. Matrices have the density that was asked for.
  const Manifest& manifest() const { return manifest_; }

  /// Fills what `layout` (slice_layout of this manifest and rank) describes, with `n_threads` threads: copies of a few random
  /// strips of each shape in turn. Weights have a mean of 0 and keep the size of what they are multiplied with, so activations
  /// stay finite; norms are 1, biases 0. The same call gives the same bytes. kExhausted when the memory cannot be had.
  Result<engine::HugeMemory> slice(const RankPlan& rank, const SliceLayout& layout, int n_threads) const;

 private:
  class Strips;
  Manifest manifest_;
  std::shared_ptr<const Strips> strips_;
};

}  // namespace colonnade::shard
