// How the zeros of a matrix lie, as far as it tells how many bytes a format needs for it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace colonnade::engine {

/// A block of weights: so many neighbouring columns of one row, beginning at a multiple of so many. The last one of a row may be shorter.
inline constexpr std::size_t kBlockWeights = 4;

struct Zeros {
  double density = 1.0;        // of the weights are not zero, 0 … 1
  double block_density = 1.0;  // of the blocks have a weight that is not zero: about from `density` (whole blocks) to 4 times as much

  /// Anywhere, without any order: 1 - (1 - density)^4 of the blocks.
  static Zeros anywhere(double density);
  /// Blocks are zero as a whole or not at all.
  static Zeros in_blocks(double density) { return {density, density}; }

  bool operator==(const Zeros&) const = default;
};

/// Counts what matrices have.
struct ZeroCount {
  std::uint64_t weights = 0, kept = 0;
  std::uint64_t blocks = 0, kept_blocks = 0;

  /// (n_rows, cols), row-major.
  void add(const float* matrix, std::size_t n_rows, std::size_t cols);
  /// Of all that was added; all kept when there was nothing.
  Zeros zeros() const;
};

}  // namespace colonnade::engine
