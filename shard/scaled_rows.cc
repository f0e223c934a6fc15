#include "shard/scaled_rows.h"

#include <algorithm>
#include <utility>

#include "shard/plain_rows.h"

namespace colonnade::shard {
namespace {

class ScaledRows final : public RowReader {
 public:
  ScaledRows(std::shared_ptr<const RowReader> codes, const ScaleGrid& grid, const ZeroPoints& zero_points)
      : codes_(std::move(codes)), grid_(grid), zero_points_(zero_points) {}

  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    COLONNADE_TRY(codes_->read(row, first_col, n_cols, out));
    const std::uint64_t scale_row = row / grid_.block_rows;
    for (std::uint64_t col = first_col, end = first_col + n_cols; col < end;) {
      std::uint64_t scale_col, next = col + 1;
      if (grid_.group_of != nullptr) {
        scale_col = load_bits<std::uint32_t>(grid_.group_of + 4 * col);
      } else {
        scale_col = col / grid_.block_cols;
        next = std::min(end, (scale_col + 1) * grid_.block_cols);
      }
      const float scale = value(grid_.dtype, grid_.scales, scale_row * grid_.cols + scale_col);
      const float zero = zero_point(scale_row, scale_col);
      for (; col < next; ++col) out[col - first_col] = (out[col - first_col] - zero) * scale;
    }
    return {};
  }

 private:
  static float value(Dtype dtype, const std::byte* values, std::uint64_t i) {
    float out = 0;
    convert_values(dtype, values + i * dtype_bytes(dtype), 1, &out);
    return out;
  }
  float zero_point(std::uint64_t scale_row, std::uint64_t scale_col) const {
    if (zero_points_.values != nullptr) return value(zero_points_.dtype, zero_points_.values, scale_row * grid_.cols + scale_col);
    return zero_points_.packed.words != nullptr ? static_cast<float>(zero_points_.packed.at(scale_row, scale_col)) : 0.0f;
  }

  std::shared_ptr<const RowReader> codes_;
  ScaleGrid grid_;
  ZeroPoints zero_points_;
};

}  // namespace

std::shared_ptr<const RowReader> scaled_rows(std::shared_ptr<const RowReader> codes, const ScaleGrid& grid, const ZeroPoints& zero_points) {
  return std::make_shared<ScaledRows>(std::move(codes), grid, zero_points);
}

}  // namespace colonnade::shard
