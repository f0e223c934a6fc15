// int8: symmetric, one fp32 scale per row of the matrix; weight = (byte - 128) * scale with |byte - 128| <= 127.
#include <cmath>
#include <cstring>

#include "engine/formats/builtin_formats.h"
#include "engine/formats/int8_row.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t strip_bytes(std::size_t cols) {
  return kInt8HeaderBytes + padded_cols(cols, kInt8ColumnGranule) / kInt8ColumnGranule * kInt8QuadBytes;
}

constexpr std::size_t offset_of(std::size_t row, std::size_t col) {
  return kInt8HeaderBytes + col / kInt8ColumnGranule * kInt8QuadBytes + row * kInt8ColumnGranule +
         col % kInt8ColumnGranule;
}

float scale_of(const std::byte* strip, std::size_t row) {
  float scale = 0;
  std::memcpy(&scale, strip + row * sizeof(float), sizeof(scale));
  return scale;
}

class Int8Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kInt8; }
  const char* name() const override { return "int8"; }
  ActivationKind activations() const override { return ActivationKind::kInt8; }

  double expected_strip_bytes(std::size_t cols, const Zeros& /*zeros*/) const override {
    return static_cast<double>(strip_bytes(cols));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    const std::size_t begin = out.size();
    out.resize(begin + strip_bytes(cols), std::byte{kInt8Zero});
    std::byte* strip = out.data() + begin;
    std::memset(strip, 0, kInt8HeaderBytes);
    for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
      const float* from = weights + row * stride;
      const float scale = int8_row_scale(from, cols);
      std::memcpy(strip + row * sizeof(float), &scale, sizeof(scale));
      for (std::size_t col = 0; col < cols; ++col) strip[offset_of(row, col)] = static_cast<std::byte>(round_to_int8(from[col], scale) + kInt8Zero);
    }
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    const auto r = static_cast<std::size_t>(row);
    const float scale = scale_of(strip, r);
    for (std::size_t col = 0; col < cols; ++col) {
      out[col] = static_cast<float>(static_cast<int>(strip[offset_of(r, col)]) - kInt8Zero) * scale;
    }
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    if (n_rows < 1 || n_rows > kStripRows || bytes < strip_bytes(cols)) return false;
    for (std::size_t row = 0; row < kStripRows; ++row) {
      const float scale = scale_of(strip, row);
      if (!std::isfinite(scale) || scale < 0) return false;
    }
    return true;
  }
};

}  // namespace

const Format& int8_format() {
  static const Int8Format format;
  return format;
}

}  // namespace colonnade::engine
