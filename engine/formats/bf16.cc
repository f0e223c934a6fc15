// bf16: weights rounded to bfloat16, multiplied with fp32 activations.
#include <cstring>

#include "engine/formats/bf16.h"
#include "engine/formats/builtin_formats.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t strip_bytes(std::size_t cols) {
  return padded_cols(cols, kBf16ColumnGranule) / 2 * kBf16PairBytes;
}

/// Where a weight lies in its strip.
constexpr std::size_t offset_of(std::size_t row, std::size_t col) {
  return col / 2 * kBf16PairBytes + row * 2 * sizeof(std::uint16_t) + col % 2 * sizeof(std::uint16_t);
}

class Bf16Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kBf16; }
  const char* name() const override { return "bf16"; }
  ActivationKind activations() const override { return ActivationKind::kF32; }

  double expected_strip_bytes(std::size_t cols, const Zeros& /*zeros*/) const override {
    return static_cast<double>(strip_bytes(cols));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    const std::size_t begin = out.size();
    out.resize(begin + strip_bytes(cols));
    for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
      for (std::size_t col = 0; col < cols; ++col) {
        const std::uint16_t bits = f32_to_bf16(weights[row * stride + col]);
        std::memcpy(out.data() + begin + offset_of(row, col), &bits, sizeof(bits));
      }
    }
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    for (std::size_t col = 0; col < cols; ++col) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, strip + offset_of(static_cast<std::size_t>(row), col), sizeof(bits));
      out[col] = bf16_to_f32(bits);
    }
  }

  bool strip_is_valid(const std::byte* /*strip*/, std::size_t bytes, int n_rows, std::size_t cols) const override {
    return n_rows >= 1 && n_rows <= kStripRows && bytes >= strip_bytes(cols);
  }
};

}  // namespace

const Format& bf16_format() {
  static const Bf16Format format;
  return format;
}

}  // namespace colonnade::engine
