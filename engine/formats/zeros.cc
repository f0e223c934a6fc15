#include "engine/formats/zeros.h"

#include <algorithm>

namespace colonnade::engine {

Zeros Zeros::anywhere(double density) {
  const double zero = 1 - density;
  return {density, 1 - zero * zero * zero * zero};
}

void ZeroCount::add(const float* matrix, std::size_t n_rows, std::size_t cols) {
  weights += n_rows * cols;
  blocks += n_rows * ((cols + kBlockWeights - 1) / kBlockWeights);
  for (std::size_t row = 0; row < n_rows; ++row, matrix += cols) {
    for (std::size_t begin = 0; begin < cols; begin += kBlockWeights) {
      std::uint64_t in_block = 0;
      for (std::size_t col = begin; col < std::min(cols, begin + kBlockWeights); ++col) in_block += matrix[col] != 0.0f ? 1 : 0;
      kept += in_block;
      kept_blocks += in_block > 0 ? 1 : 0;
    }
  }
}

Zeros ZeroCount::zeros() const {
  if (weights == 0) return {};
  return {static_cast<double>(kept) / static_cast<double>(weights), static_cast<double>(kept_blocks) / static_cast<double>(blocks)};
}

}  // namespace colonnade::engine
