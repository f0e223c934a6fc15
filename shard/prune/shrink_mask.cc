#include "shard/prune/shrink_mask.h"

#include <algorithm>
#include <vector>

namespace colonnade::shard {

void shrink_mask(const FloatMatrix& gram, const Structure& structure, double sparsity, RowGroup& group) {
  const std::size_t cols = group.cols, rows = group.n_rows, unit = structure.unit, units = structure.units_of(cols);
  const auto score = [&](std::size_t first, std::size_t row) {
    if (group.keep(first)[row] == 0) return -1.0f;
    float sum = 0;
    for (std::size_t col = first; col < std::min(first + unit, cols); ++col) {
      const float value = group.values(col)[row];
      sum += value * value * gram.row(col)[col];
    }
    return sum;
  };
  // (row, unit), so that groups of columns are neighbours.
  std::vector<float> scores(rows * units), sorted(structure.any() ? rows * units : structure.group);
  std::vector<std::uint8_t> keep(rows * units);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t u = 0; u < units; ++u) scores[row * units + u] = score(u * unit, row);
  if (structure.any()) {
    keep_largest(scores, count_zeros(scores.size(), sparsity), sorted, keep.data());
  } else {
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t at = 0; at < cols; at += structure.group) {
        const std::size_t n = std::min(structure.group, cols - at), from = row * cols + at;
        keep_largest({scores.data() + from, n}, n - structure.kept_of(n, sparsity), sorted, keep.data() + from);
      }
  }
  for (std::size_t col = 0; col < cols; ++col)
    for (std::size_t row = 0; row < rows; ++row) group.keep(col)[row] = keep[row * units + col / unit];
  group.clear_pruned();
}

}  // namespace colonnade::shard
