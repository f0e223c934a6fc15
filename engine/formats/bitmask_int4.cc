// bitmask-int4: one mask bit a weight, and a nibble for each that is kept; one bf16 scale per row and 128 columns.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "engine/formats/bf16.h"
#include "engine/formats/builtin_formats.h"
#include "engine/formats/int4_scale.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t kBlockColumns = kInt4BlockColumns;
constexpr std::size_t n_blocks(std::size_t cols) { return padded_cols(cols, kBlockColumns) / kBlockColumns; }
constexpr std::size_t values_at(std::size_t cols) {
  return n_whole_int4_blocks(cols) * sizeof(BitmaskInt4Block) + (has_half_int4_block(cols) ? sizeof(BitmaskInt4HalfBlock) : 0);
}

/// A block in the order of its columns, whole or half: the first `n_high` masks are of values in high nibbles.
struct Block {
  std::uint16_t scales[kStripRows] = {};
  std::uint64_t masks[2 * kGroupQuads] = {};
  std::size_t n_masks = 0;

  Block(std::size_t index, std::size_t cols) : n_masks(index < n_whole_int4_blocks(cols) ? 2 * kGroupQuads : kGroupQuads) {}
  std::size_t bytes() const { return sizeof(scales) + n_masks * sizeof(masks[0]); }
  std::size_t n_high() const { return n_masks / 2; }
  bool high(std::size_t quad) const { return quad < n_high(); }
  std::size_t kept(std::size_t first, std::size_t last) const {
    std::size_t kept = 0;
    for (std::size_t quad = first; quad < last; ++quad) kept += static_cast<std::size_t>(__builtin_popcountll(masks[quad]));
    return kept;
  }
  std::size_t value_bytes() const { return std::max(kept(0, n_high()), kept(n_high(), n_masks)); }
};
static_assert(offsetof(BitmaskInt4Block, masks) == sizeof(Block::scales) && offsetof(BitmaskInt4HalfBlock, masks) == sizeof(Block::scales));

Block block_of(const std::byte* strip, std::size_t index, std::size_t cols) {
  Block block(index, cols);
  const std::byte* at = strip + index * sizeof(BitmaskInt4Block);
  std::memcpy(block.scales, at, sizeof(block.scales));
  std::memcpy(block.masks, at + sizeof(block.scales), block.n_masks * sizeof(block.masks[0]));
  return block;
}

class BitmaskInt4Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kBitmaskInt4; }
  const char* name() const override { return "bitmask-int4"; }
  ActivationKind activations() const override { return ActivationKind::kInt8; }

  double expected_strip_bytes(std::size_t cols, const Zeros& zeros) const override {
    double values = 0;
    for (std::size_t first = 0; first < cols; first += kBlockColumns) {
      const std::size_t left = cols - first, half = left > kActivationGroup ? kActivationGroup : kActivationGroup / 2;
      const double mean = static_cast<double>(std::min(half, left)) * kStripRows * zeros.density;
      // The longer of two full streams is 0.56 standard deviations above the mean.
      values += left < 2 * half ? mean : mean + 0.56 * std::sqrt(mean * (1 - zeros.density));
    }
    return static_cast<double>(values_at(cols)) + static_cast<double>(round_up_strip(static_cast<std::size_t>(values)));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    const std::size_t begin = out.size();
    out.resize(begin + values_at(cols));
    for (std::size_t b = 0; b < n_blocks(cols); ++b) {
      Block block(b, cols);
      encode_block(weights, stride, n_rows, b * kBlockColumns, cols, block, out);
      std::byte* const at = out.data() + begin + b * sizeof(BitmaskInt4Block);
      std::memcpy(at, block.scales, sizeof(block.scales));
      std::memcpy(at + sizeof(block.scales), block.masks, block.bytes() - sizeof(block.scales));
    }
    out.resize(begin + round_up_strip(out.size() - begin));
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    const std::byte* values = strip + values_at(cols);
    for (std::size_t b = 0; b < n_blocks(cols); ++b) {
      const Block block = block_of(strip, b, cols);
      const float scale = bf16_to_f32(block.scales[row]);
      for (std::size_t quad = 0; quad < block.n_masks; ++quad) {
        const std::uint64_t mask = block.masks[quad];
        const bool high = block.high(quad);
        const std::size_t place = block.kept(high ? 0 : block.n_high(), quad);
        for (std::size_t i = 0; i < kInt8ColumnGranule; ++i) {
          const std::size_t col = b * kBlockColumns + quad * kInt8ColumnGranule + i;
          if (col >= cols) break;
          const std::uint64_t bit = std::uint64_t{1} << (static_cast<std::size_t>(row) * kInt8ColumnGranule + i);
          int steps = 0;
          if ((mask & bit) != 0) {
            const auto byte = std::to_integer<unsigned>(values[place + static_cast<std::size_t>(__builtin_popcountll(mask & (bit - 1)))]);
            steps = static_cast<int>(high ? byte >> 4 : byte & 15u) - kInt4Zero;
          }
          out[col] = static_cast<float>(steps) * scale;
        }
      }
      values += block.value_bytes();
    }
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    if (n_rows < 1 || n_rows > kStripRows || bytes < values_at(cols)) return false;
    std::size_t end = values_at(cols);
    for (std::size_t b = 0; b < n_blocks(cols); ++b) {
      const Block block = block_of(strip, b, cols);
      for (const std::uint16_t scale : block.scales)
        if (!std::isfinite(bf16_to_f32(scale))) return false;
      for (std::size_t quad = 0; quad < block.n_masks; ++quad)
        if (b * kBlockColumns + quad * kInt8ColumnGranule >= cols && block.masks[quad] != 0) return false;
      end += block.value_bytes();
    }
    return bytes >= round_up_strip(end);
  }

 private:
  /// Columns [first, first + 128), as far as there are any; appends the values to `out`.
  static void encode_block(const float* weights, std::size_t stride, int n_rows, std::size_t first, std::size_t cols,
                           Block& block, std::vector<std::byte>& out) {
    const std::size_t count = std::min(kBlockColumns, cols - first);
    float scales[kStripRows] = {};
    for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
      block.scales[row] = choose_int4_scale(weights + row * stride + first, count);
      scales[row] = bf16_to_f32(block.scales[row]);
    }
    const std::size_t begin = out.size();
    std::size_t at = begin;
    for (std::size_t quad = 0; quad < block.n_masks; ++quad) {
      if (quad == block.n_high()) at = begin;
      for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
        for (std::size_t i = 0; i < kInt8ColumnGranule; ++i) {
          const std::size_t col = quad * kInt8ColumnGranule + i;
          if (col >= count) break;
          const int steps = round_to_int4(weights[row * stride + first + col], scales[row]);
          if (steps == 0) continue;
          block.masks[quad] |= std::uint64_t{1} << (row * kInt8ColumnGranule + i);
          if (at == out.size()) out.push_back(std::byte{0});
          out[at++] |= static_cast<std::byte>(static_cast<unsigned>(steps + kInt4Zero) << (block.high(quad) ? 4 : 0));
        }
      }
    }
  }
};

}  // namespace

const Format& bitmask_int4_format() {
  static const BitmaskInt4Format format;
  return format;
}

}  // namespace colonnade::engine
