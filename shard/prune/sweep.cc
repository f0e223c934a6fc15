#include "shard/prune/sweep.h"

#include <algorithm>
#include <array>
#include <vector>

namespace colonnade::shard {
namespace {

/// Columns of a block: a multiple of the structure's groups.
std::size_t block_columns(const Structure& structure) {
  return structure.any() ? kMaxGroupColumns : kMaxGroupColumns / structure.group * structure.group;
}

class Sweep {
 public:
  Sweep(const Compute& compute, const Factor& factor, const SweepRules& rules, RowGroup& group)
      : compute_(compute), factor_(factor), rules_(rules), group_(group) {}

  void run() {
    const std::size_t width = block_columns(rules_.structure);
    for (begin_ = 0; begin_ < group_.cols; begin_ = end_) {
      end_ = std::min(begin_ + width, group_.cols);
      look_back();
      if (rules_.choose_mask && rules_.structure.any()) choose_in_block();
      for (std::size_t col = begin_; col < end_; ++col) do_column(col);
    }
  }

 private:
  float* wanted(std::size_t col) { return group_.scratch(0, col); }

  /// wanted = target + what the columns before this block lost.
  void look_back() {
    for (std::size_t col = begin_; col < end_; ++col) std::copy_n(group_.target(col), kRowGroup, wanted(col));
    compute_.kernels.add_product({factor_.feedback.data() + begin_, factor_.feedback.cols(), group_.difference(0), kRowGroup,
                                  wanted(begin_), kRowGroup, end_ - begin_, kRowGroup, begin_});
  }

  float score(std::size_t col, std::size_t row) {
    const float value = wanted(col)[row];
    return value * value * factor_.variance[col];
  }

  /// What is lost when columns [first, last) of a row go together and those after them make up for it: of each what it loses once
  /// those before it are gone. That is w_B inverse([inverse(H)]_BB) transposed(w_B) over the columns from `first` on (Kurtic et al. 2022,
  /// arXiv:2203.07259), for six multiplications more than the sum over single columns takes.
  float unit_score(std::size_t first, std::size_t last, std::size_t row) {
    float sum = 0;
    for (std::size_t col = first; col < last; ++col) {
      float value = wanted(col)[row];
      for (std::size_t gone = first; gone < col; ++gone) value += group_.target(gone)[row] * factor_.feedback.row(gone)[col];
      sum += value * value * factor_.variance[col];
    }
    return sum;
  }

  void choose_in_block() {
    const std::size_t unit = rules_.structure.unit;
    const std::size_t count = rules_.structure.units_of(end_ - begin_) * group_.n_rows;
    scores_.resize(count);
    sorted_.resize(count);
    keep_.resize(count);
    std::size_t i = 0;
    for (std::size_t col = begin_; col < end_; col += unit)
      for (std::size_t row = 0; row < group_.n_rows; ++row) scores_[i++] = unit_score(col, std::min(col + unit, end_), row);
    keep_largest(scores_, count_zeros(count, rules_.sparsity), sorted_, keep_.data());
    for (std::size_t col = begin_; col < end_; ++col) {
      std::fill_n(group_.keep(col), kRowGroup, std::uint8_t{0});
      std::copy_n(keep_.data() + (col - begin_) / unit * group_.n_rows, group_.n_rows, group_.keep(col));
    }
  }

  /// The group of columns that begins at `col`, in every row by itself.
  void choose_in_group(std::size_t col) {
    const std::size_t n = std::min(rules_.structure.group, group_.cols - col);
    const std::size_t zeros = n - rules_.structure.kept_of(n, rules_.sparsity);
    std::array<float, kMaxGroupColumns> scores, sorted;
    std::array<std::uint8_t, kMaxGroupColumns> keep;
    for (std::size_t row = 0; row < kRowGroup; ++row) {
      for (std::size_t i = 0; i < n; ++i) scores[i] = score(col + i, row);
      keep_largest({scores.data(), n}, zeros, sorted, keep.data());
      for (std::size_t i = 0; i < n; ++i) group_.keep(col + i)[row] = keep[i];
    }
  }

  void do_column(std::size_t col) {
    const Structure& structure = rules_.structure;
    if (rules_.choose_mask && !structure.any() && (col - begin_) % structure.group == 0) choose_in_group(col);
    float* const out = group_.values(col);
    const std::uint8_t* const keep = group_.keep(col);
    if (rules_.grid != nullptr) {
      rules_.grid->round(col, wanted(col), keep, out);
    } else {
      for (std::size_t row = 0; row < kRowGroup; ++row) out[row] = keep[row] != 0 ? wanted(col)[row] : 0.0f;
    }
    float* const lost = group_.difference(col);
    for (std::size_t row = 0; row < kRowGroup; ++row) lost[row] = group_.target(col)[row] - out[row];
    const float* const feedback = factor_.feedback.row(col);
    for (std::size_t later = col + 1; later < end_; ++later)
      compute_.kernels.add_scaled(wanted(later), lost, feedback[later], kRowGroup);
  }

  const Compute& compute_;
  const Factor& factor_;
  const SweepRules& rules_;
  RowGroup& group_;
  std::size_t begin_ = 0, end_ = 0;  // of the block
  std::vector<float> scores_, sorted_;
  std::vector<std::uint8_t> keep_;
};

}  // namespace

void sweep(const Compute& compute, const Factor& factor, const SweepRules& rules, RowGroup& group) {
  Sweep(compute, factor, rules, group).run();
}

}  // namespace colonnade::shard
