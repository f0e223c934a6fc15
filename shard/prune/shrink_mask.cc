#include "shard/prune/shrink_mask.h"

#include <vector>

namespace colonnade::shard {

void shrink_mask(const FloatMatrix& gram, const Structure& structure, double sparsity, RowGroup& group) {
  const std::size_t cols = group.cols, rows = group.n_rows;
  const auto score = [&](std::size_t col, std::size_t row) {
    const float value = group.values(col)[row];
    return group.keep(col)[row] != 0 ? value * value * gram.row(col)[col] : -1.0f;
  };
  // (row, column), so that groups of columns are neighbours.
  std::vector<float> scores(rows * cols), sorted(structure.any() ? rows * cols : structure.group);
  std::vector<std::uint8_t> keep(rows * cols);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t col = 0; col < cols; ++col) scores[row * cols + col] = score(col, row);
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
    for (std::size_t row = 0; row < rows; ++row) group.keep(col)[row] = keep[row * cols + col];
  group.clear_pruned();
}

}  // namespace colonnade::shard
