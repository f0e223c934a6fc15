// int4: weight = (nibble - 8) * scale, one bf16 scale per row and 64 columns: 4.25 bits a weight.
#include <cmath>
#include <cstddef>
#include <cstring>

#include "engine/formats/bf16.h"
#include "engine/formats/builtin_formats.h"
#include "engine/formats/int4_scale.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t strip_bytes(std::size_t cols) {
  return n_whole_int4_blocks(cols) * sizeof(Int4Block) + (has_half_int4_block(cols) ? sizeof(Int4HalfBlock) : 0);
}

/// Where a weight and its scale lie in a strip.
struct Place {
  std::size_t scale;
  std::size_t byte;
  bool high;  // nibble
};
constexpr Place place_of(std::size_t row, std::size_t col, std::size_t cols) {
  const std::size_t block = col / kInt4BlockColumns, in_block = col % kInt4BlockColumns;
  const std::size_t begin = block * sizeof(Int4Block);
  const std::size_t quad = in_block / kInt8ColumnGranule % kGroupQuads, byte = row * kInt8ColumnGranule + in_block % kInt8ColumnGranule;
  if (block < n_whole_int4_blocks(cols)) {
    const std::size_t half = in_block / kActivationGroup;
    return {begin + (2 * row + half) * sizeof(std::uint16_t), begin + offsetof(Int4Block, quads) + quad * kInt8QuadBytes + byte,
            half == 0};
  }
  constexpr std::size_t kHalf = kGroupQuads / 2;
  return {begin + row * sizeof(std::uint16_t), begin + offsetof(Int4HalfBlock, quads) + quad % kHalf * kInt8QuadBytes + byte,
          quad < kHalf};
}
float scale_at(const std::byte* strip, const Place& place) {
  std::uint16_t scale;
  std::memcpy(&scale, strip + place.scale, sizeof(scale));
  return bf16_to_f32(scale);
}

class Int4Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kInt4; }
  const char* name() const override { return "int4"; }
  ActivationKind activations() const override { return ActivationKind::kInt8; }

  double expected_strip_bytes(std::size_t cols, const Zeros& /*zeros*/) const override {
    return static_cast<double>(strip_bytes(cols));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    const std::size_t begin = out.size();
    out.resize(begin + strip_bytes(cols), std::byte{kInt4Zero << 4 | kInt4Zero});
    std::byte* const strip = out.data() + begin;
    clear_scales(strip, cols);
    for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row)
      for (std::size_t first = 0; first < cols; first += kActivationGroup) encode_group(weights + row * stride, first, cols, row, strip);
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    for (std::size_t col = 0; col < cols; ++col) {
      const Place place = place_of(static_cast<std::size_t>(row), col, cols);
      const auto byte = std::to_integer<unsigned>(strip[place.byte]);
      const int steps = static_cast<int>(place.high ? byte >> 4 : byte & 15u) - kInt4Zero;
      out[col] = static_cast<float>(steps) * scale_at(strip, place);
    }
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    if (n_rows < 1 || n_rows > kStripRows || bytes < strip_bytes(cols)) return false;
    for (std::size_t col = 0; col < padded_cols(cols, kActivationGroup); col += kActivationGroup)
      for (std::size_t row = 0; row < kStripRows; ++row)
        if (!std::isfinite(scale_at(strip, place_of(row, col, cols)))) return false;
    return true;
  }

 private:
  static void clear_scales(std::byte* strip, std::size_t cols) {
    std::byte* at = strip;
    for (std::size_t block = 0; block < n_whole_int4_blocks(cols); ++block, at += sizeof(Int4Block))
      std::memset(at, 0, sizeof(Int4Block::scales));
    if (has_half_int4_block(cols)) std::memset(at, 0, sizeof(Int4HalfBlock::scales));
  }

  /// Columns [first, first + 64) of a row, as far as there are any.
  static void encode_group(const float* row, std::size_t first, std::size_t cols, std::size_t r, std::byte* strip) {
    const std::size_t count = std::min<std::size_t>(kActivationGroup, cols - first);
    const std::uint16_t chosen = choose_int4_scale(row + first, count);
    std::memcpy(strip + place_of(r, first, cols).scale, &chosen, sizeof(chosen));
    const float scale = bf16_to_f32(chosen);
    for (std::size_t col = first; col < first + count; ++col) {
      const Place place = place_of(r, col, cols);
      const auto nibble = static_cast<unsigned>(round_to_int4(row[col], scale) + kInt4Zero);
      std::byte& byte = strip[place.byte];
      byte = place.high ? (byte & std::byte{0x0f}) | static_cast<std::byte>(nibble << 4)
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
