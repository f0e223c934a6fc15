// bitmask-int4: one mask bit a weight, and a nibble for each that is kept; one bf16 scale per row and 128 columns.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/formats/bf16.h"
#include "engine/formats/builtin_formats.h"
#include "engine/formats/int4_scale.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t kBlockColumns = kInt4BlockColumns;
constexpr std::size_t n_blocks(std::size_t cols) { return padded_cols(cols, kBlockColumns) / kBlockColumns; }
constexpr std::size_t values_at(std::size_t cols) { return n_blocks(cols) * sizeof(BitmaskInt4Block); }

BitmaskInt4Block block_of(const std::byte* strip, std::size_t index) {
  BitmaskInt4Block block;
  std::memcpy(&block, strip + index * sizeof(block), sizeof(block));
  return block;
}

std::size_t kept_in_half(const BitmaskInt4Block& block, std::size_t half) {
  std::size_t kept = 0;
  for (const std::uint64_t mask : block.masks[half]) kept += static_cast<std::size_t>(__builtin_popcountll(mask));
  return kept;
}
std::size_t value_bytes(const BitmaskInt4Block& block) {
  return std::max(kept_in_half(block, 0), kept_in_half(block, 1));
}

class BitmaskInt4Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kBitmaskInt4; }
  const char* name() const override { return "bitmask-int4"; }
  ActivationKind activations() const override { return ActivationKind::kInt8; }

  double expected_strip_bytes(std::size_t cols, double density) const override {
    double values = 0;
    for (std::size_t first = 0; first < cols; first += kBlockColumns) {
      const double half = static_cast<double>(std::min<std::size_t>(kActivationGroup, cols - first));
      const double mean = half * kStripRows * density;
      // The longer of two full streams is 0.56 standard deviations above the mean.
      values += cols - first < kBlockColumns ? mean : mean + 0.56 * std::sqrt(mean * (1 - density));
    }
    return static_cast<double>(values_at(cols)) + static_cast<double>(round_up_strip(static_cast<std::size_t>(values)));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    const std::size_t begin = out.size();
    out.resize(begin + values_at(cols));
    for (std::size_t b = 0; b < n_blocks(cols); ++b) {
      BitmaskInt4Block block{};
      encode_block(weights, stride, n_rows, b * kBlockColumns, cols, block, out);
      std::memcpy(out.data() + begin + b * sizeof(block), &block, sizeof(block));
    }
    out.resize(begin + round_up_strip(out.size() - begin));
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    const std::byte* values = strip + values_at(cols);
    for (std::size_t b = 0; b < n_blocks(cols); ++b) {
      const BitmaskInt4Block block = block_of(strip, b);
      const float scale = bf16_to_f32(block.scales[row]);
      for (std::size_t half = 0; half < 2; ++half) {
        std::size_t place = 0;
        for (std::size_t quad = 0; quad < kGroupQuads; ++quad) {
          const std::uint64_t mask = block.masks[half][quad];
          for (std::size_t i = 0; i < 4; ++i) {
            const std::size_t col = b * kBlockColumns + half * kActivationGroup + quad * 4 + i;
            if (col >= cols) break;
            const std::uint64_t bit = std::uint64_t{1} << (static_cast<std::size_t>(row) * 4 + i);
            const std::size_t at = place + static_cast<std::size_t>(__builtin_popcountll(mask & (bit - 1)));
            int steps = 0;
            if ((mask & bit) != 0) {
              const auto byte = std::to_integer<unsigned>(values[at]);
              steps = static_cast<int>(half == 0 ? byte >> 4 : byte & 15u) - kInt4Zero;
            }
            out[col] = static_cast<float>(steps) * scale;
          }
          place += static_cast<std::size_t>(__builtin_popcountll(mask));
        }
      }
      values += value_bytes(block);
    }
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    if (n_rows < 1 || n_rows > kStripRows || bytes < values_at(cols)) return false;
    std::size_t end = values_at(cols);
    for (std::size_t b = 0; b < n_blocks(cols); ++b) {
      const BitmaskInt4Block block = block_of(strip, b);
      for (const std::uint16_t scale : block.scales)
        if (!std::isfinite(bf16_to_f32(scale))) return false;
      for (std::size_t half = 0; half < 2; ++half)
        for (std::size_t quad = 0; quad < kGroupQuads; ++quad)
          if (b * kBlockColumns + half * kActivationGroup + quad * 4 >= cols && block.masks[half][quad] != 0) return false;
      end += value_bytes(block);
    }
    return bytes >= round_up_strip(end);
  }

 private:
  /// Columns [first, first + 128), as far as there are any; appends the values to `out`.
  static void encode_block(const float* weights, std::size_t stride, int n_rows, std::size_t first, std::size_t cols,
                           BitmaskInt4Block& block, std::vector<std::byte>& out) {
    const std::size_t count = std::min(kBlockColumns, cols - first);
    float scales[kStripRows] = {};
    for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
      block.scales[row] = choose_int4_scale(weights + row * stride + first, count);
      scales[row] = bf16_to_f32(block.scales[row]);
    }
    const std::size_t begin = out.size();
    for (std::size_t half = 0; half < 2; ++half) {
      std::size_t at = begin;
      for (std::size_t quad = 0; quad < kGroupQuads; ++quad) {
        for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
          for (std::size_t i = 0; i < 4; ++i) {
            const std::size_t col = half * kActivationGroup + quad * 4 + i;
            if (col >= count) break;
            const int steps = round_to_int4(weights[row * stride + first + col], scales[row]);
            if (steps == 0) continue;
            block.masks[half][quad] |= std::uint64_t{1} << (row * 4 + i);
            if (at == out.size()) out.push_back(std::byte{0});
            out[at++] |= static_cast<std::byte>(static_cast<unsigned>(steps + kInt4Zero) << (half == 0 ? 4 : 0));
          }
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
