// Models of random weights in packed form, made in memory at its speed: to size and measure a model before it is
// downloaded. No files.
#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/platform/memory.h"
#include "shard/manifest.h"
#include "shard/plan.h"
#include "shard/slice.h"

namespace colonnade::shard {

/// A manifest without files. `shape` is a name of known_shapes.h, or a config.json or the directory of one; of its layers
/// the first `max_layers` (0: all).
Result<Manifest> synthetic_manifest(std::string_view shape, const FormatChoice& formats, int max_layers);

/// Fills what `layout` (slice_layout of this manifest and rank) describes, with `n_threads` threads. Weights have a mean of 0
/// and keep the size of what they are multiplied with, so activations stay finite; norms are 1, biases 0. The
/// same call gives the same bytes. kExhausted when the memory cannot be had.
Result<engine::HugeMemory> synthetic_slice(const Manifest& manifest, const RankPlan& rank, const SliceLayout& layout,
                                           int n_threads);

}  // namespace colonnade::shard
