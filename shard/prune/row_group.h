// Some rows of a matrix while they are pruned: transposed, lane = row, so that every step works on all of them at once.
// Row groups are independent of one another and owned by one thread each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "shard/prune/compute.h"

namespace colonnade::shard {

/// Rows that are pruned together: enough for full vectors and for thresholds over many weights, few enough to stay in
/// cache, one column block at a time.
inline constexpr std::size_t kRowGroup = 128;

/// Memory of one thread for matrices of up to max_cols columns; (cols, kRowGroup) each, zeros beyond n_rows.
class RowGroup {
 public:
  RowGroup(MemoryMeter& meter, std::size_t max_cols)
      : target_(meter, max_cols, kRowGroup),
        values_(meter, max_cols, kRowGroup),
        difference_(meter, max_cols, kRowGroup),
        scratch_{FloatMatrix(meter, max_cols, kRowGroup), FloatMatrix(meter, max_cols, kRowGroup)},
        keep_(meter, max_cols * kRowGroup) {}

  static std::uint64_t bytes(std::size_t max_cols) { return max_cols * kRowGroup * (5 * sizeof(float) + 1); }

  std::size_t cols = 0;
  std::size_t n_rows = 0;

  float* target(std::size_t col) { return target_.row(col); }          // what the weights are to stand for
  float* values(std::size_t col) { return values_.row(col); }          // what they are now
  float* difference(std::size_t col) { return difference_.row(col); }  // target - values, where a function says so
  float* scratch(std::size_t index, std::size_t col) { return scratch_[index].row(col); }
  std::uint8_t* keep(std::size_t col) { return keep_.data() + col * kRowGroup; }  // 0 or 1

  /// Rows [first, first + count) of `weights` become target and values.
  void load(const FloatMatrix& weights, std::size_t first, std::size_t count) {
    cols = weights.cols();
    n_rows = count;
    for (std::size_t c = 0; c < cols; ++c) {
      for (std::size_t r = 0; r < kRowGroup; ++r) target(c)[r] = r < count ? weights.row(first + r)[c] : 0.0f;
      std::copy_n(target(c), kRowGroup, values(c));
    }
  }

  /// Values go back to rows [first, …).
  void store(FloatMatrix& weights, std::size_t first) {
    for (std::size_t r = 0; r < n_rows; ++r)
      for (std::size_t c = 0; c < cols; ++c) weights.row(first + r)[c] = values(c)[r];
  }

  /// Values that are not kept become zeros.
  void clear_pruned() {
    for (std::size_t c = 0; c < cols; ++c)
      for (std::size_t r = 0; r < kRowGroup; ++r)
        if (keep(c)[r] == 0) values(c)[r] = 0.0f;
  }

 private:
  FloatMatrix target_, values_, difference_;
  FloatMatrix scratch_[2];
  MeteredBuffer<std::uint8_t> keep_;
};

}  // namespace colonnade::shard
