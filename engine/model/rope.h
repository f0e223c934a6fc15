// Rotary position embedding (Su et al., RoFormer, 2021): the angles per position, with the frequency scalings that
// published models use. The rotation itself is a kernel.
#pragma once

#include <vector>

#include "engine/model/config.h"

namespace colonnade::engine {

/// Immutable after construction, so thread-safe.
class RopeTable {
 public:
  explicit RopeTable(const RopeConfig& config);

  int n_pairs() const { return static_cast<int>(frequencies_.size()); }

  /// cosine and sine get n_pairs values for `position`. Angles are computed in double, so far positions stay exact.
  void fill(int position, float* cosine, float* sine) const;

 private:
  std::vector<double> frequencies_;  // radians a position, by pair
  double amplitude_;
};

}  // namespace colonnade::engine
