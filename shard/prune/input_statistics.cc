#include "shard/prune/input_statistics.h"

#include <algorithm>

#include "engine/base/check.h"

namespace colonnade::shard {
namespace {

/// Rows that are summed together: as many as a product adds up in registers.
constexpr std::size_t kRowsWaiting = 256;

}  // namespace

InputStatistics::InputStatistics(MemoryMeter& meter, std::size_t cols, bool with_gram, RowRange rows)
    : meter_(&meter), cols_(cols), first_row_(rows.first), squares_(cols) {
  if (with_gram) gram_ = FloatMatrix(meter, rows.count(), cols);
}

std::uint64_t InputStatistics::bytes(std::size_t cols, bool with_gram, std::size_t gram_rows, std::size_t step_tokens) {
  const std::size_t rows = with_gram ? gram_rows + std::max(kRowsWaiting, step_tokens) : 0;
  return cols * rows * sizeof(float) + cols * sizeof(double);
}

void InputStatistics::add(const Compute& compute, std::size_t first_col, std::size_t count, const engine::Activations& input,
                          std::size_t n_tokens) {
  COLONNADE_CHECK(first_col + count <= cols_, "inputs outside of their matrix");
  const bool with_gram = gram_.size() > 0;
  if (n_expected_ == 0) {
    if (with_gram && n_waiting_ + n_tokens > waiting_.rows()) {
      flush(compute);
      if (n_tokens > waiting_.rows()) {
        waiting_ = FloatMatrix();
        waiting_ = FloatMatrix(*meter_, std::max(n_tokens, kRowsWaiting), cols_);
      }
    }
    n_expected_ = cols_;
    n_waiting_ += n_tokens;
    n_tokens_ += n_tokens;
  }
  COLONNADE_CHECK(count <= n_expected_, "inputs of a matrix came twice");
  n_expected_ -= count;
  for (std::size_t t = 0; t < n_tokens; ++t) {
    const std::size_t row = input.rows == nullptr ? t : static_cast<std::size_t>(input.rows[t]);
    const float* const from = input.values + row * input.stride;
    for (std::size_t c = 0; c < count; ++c) squares_[first_col + c] += static_cast<double>(from[c]) * from[c];
    if (with_gram) std::copy_n(from, count, waiting_.row(n_waiting_ - n_tokens + t) + first_col);
  }
}

void InputStatistics::flush(const Compute& compute) {
  if (n_waiting_ > 0 && gram_.size() > 0) add_gram(compute, waiting_.data(), cols_, n_waiting_, gram_, first_row_);
  n_waiting_ = 0;
}

void InputStatistics::finish(const Compute& compute) {
  COLONNADE_CHECK(n_expected_ == 0, "some columns of the inputs of a matrix never came");
  flush(compute);
  waiting_ = FloatMatrix();
}

}  // namespace colonnade::shard
