// What is learnt of the inputs of one or several matrices while calibration runs: sums of outer products, or of squares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/kernels/kernels.h"
#include "shard/prune/compute.h"
#include "shard/prune/factor.h"

namespace colonnade::shard {

/// Driven by one thread. Rows may come in pieces of columns; a row counts once all its pieces are there.
class InputStatistics {
 public:
  /// With `with_gram` the outer products are summed: `rows` of that matrix. Without, only the squares.
  InputStatistics(MemoryMeter& meter, std::size_t cols, bool with_gram, RowRange rows);
  InputStatistics(MemoryMeter& meter, std::size_t cols, bool with_gram) : InputStatistics(meter, cols, with_gram, {0, cols}) {}

  std::size_t cols() const { return cols_; }
  std::uint64_t n_tokens() const { return n_tokens_; }

  /// Columns [first_col, first_col + count) of n_tokens rows. All columns of them come before those of the next rows.
  void add(const Compute& compute, std::size_t first_col, std::size_t count, const engine::Activations& input,
           std::size_t n_tokens);
  /// No more rows; the sums are complete, of outer products the upper triangle.
  void finish(const Compute& compute);

  FloatMatrix& gram() { return gram_; }  // its rows that are summed here
  const std::vector<double>& squares() const { return squares_; }  // by column

  static std::uint64_t bytes(std::size_t cols, bool with_gram, std::size_t gram_rows, std::size_t step_tokens);

 private:
  void flush(const Compute& compute);

  MemoryMeter* meter_;
  std::size_t cols_;
  std::size_t first_row_;  // of the sum of outer products
  FloatMatrix gram_;
  std::vector<double> squares_;
  FloatMatrix waiting_;        // rows that are not yet summed
  std::size_t n_waiting_ = 0;
  std::size_t n_expected_ = 0;  // of the last rows: columns that have not come yet
  std::uint64_t n_tokens_ = 0;
};

}  // namespace colonnade::shard
