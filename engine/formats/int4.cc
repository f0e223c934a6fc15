// int4: weight = (nibble - 8) * scale, one bf16 scale per row and 64 columns: 4.25 bits a weight.
#include <cmath>
#include <cstring>

#include "engine/formats/bf16.h"
#include "engine/formats/builtin_formats.h"
#include "engine/formats/int4_scale.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t n_blocks(std::size_t cols) { return padded_cols(cols, kInt4BlockColumns) / kInt4BlockColumns; }

class Int4Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kInt4; }
  const char* name() const override { return "int4"; }
  ActivationKind activations() const override { return ActivationKind::kInt8; }

  double expected_strip_bytes(std::size_t cols, double /*density*/) const override {
    return static_cast<double>(n_blocks(cols) * sizeof(Int4Block));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    for (std::size_t begin = 0; begin < cols; begin += kInt4BlockColumns) {
      Int4Block block;
      std::memset(&block.scales, 0, sizeof(block.scales));
      std::memset(&block.quads, kInt4Zero << 4 | kInt4Zero, sizeof(block.quads));
      for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
        for (std::size_t half = 0; half < 2; ++half)
          encode_half(weights + row * stride, begin + half * kActivationGroup, cols, row, half, block);
      }
      const auto* bytes = reinterpret_cast<const std::byte*>(&block);
      out.insert(out.end(), bytes, bytes + sizeof(block));
    }
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    const auto r = static_cast<std::size_t>(row);
    for (std::size_t col = 0; col < cols; ++col) {
      Int4Block block;
      std::memcpy(&block, strip + col / kInt4BlockColumns * sizeof(block), sizeof(block));
      const std::size_t half = col / kActivationGroup % 2, in_half = col % kActivationGroup;
      const auto byte = std::to_integer<unsigned>(block.quads[in_half / 4][r * 4 + in_half % 4]);
      const int steps = static_cast<int>(half == 0 ? byte >> 4 : byte & 15u) - kInt4Zero;
      out[col] = static_cast<float>(steps) * bf16_to_f32(block.scales[r][half]);
    }
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    if (n_rows < 1 || n_rows > kStripRows || bytes < n_blocks(cols) * sizeof(Int4Block)) return false;
    for (std::size_t b = 0; b < n_blocks(cols); ++b) {
      Int4Block block;
      std::memcpy(&block.scales, strip + b * sizeof(block), sizeof(block.scales));
      for (const auto& scales : block.scales)
        if (!std::isfinite(bf16_to_f32(scales[0])) || !std::isfinite(bf16_to_f32(scales[1]))) return false;
    }
    return true;
  }

 private:
  /// Columns [first, first + 64) of a row, as far as there are any.
  static void encode_half(const float* row, std::size_t first, std::size_t cols, std::size_t r, std::size_t half,
                          Int4Block& block) {
    if (first >= cols) return;
    const std::size_t count = std::min<std::size_t>(kActivationGroup, cols - first);
    block.scales[r][half] = choose_int4_scale(row + first, count);
    const float scale = bf16_to_f32(block.scales[r][half]);
    for (std::size_t i = 0; i < count; ++i) {
      const auto nibble = static_cast<unsigned>(round_to_int4(row[first + i], scale) + kInt4Zero);
      std::byte& byte = block.quads[i / 4][r * 4 + i % 4];
      byte = half == 0 ? (byte & std::byte{0x0f}) | static_cast<std::byte>(nibble << 4)
                       : (byte & std::byte{0xf0}) | static_cast<std::byte>(nibble);
    }
  }
};

}  // namespace

const Format& int4_format() {
  static const Int4Format format;
  return format;
}

}  // namespace colonnade::engine
