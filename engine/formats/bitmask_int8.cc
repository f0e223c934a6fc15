// bitmask-int8: one mask bit a weight, and a byte for each that is kept; one fp32 scale a row.
#include <cmath>
#include <cstring>

#include "engine/formats/builtin_formats.h"
#include "engine/formats/int8_row.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t n_groups(std::size_t cols) { return padded_cols(cols, kActivationGroup) / kActivationGroup; }
constexpr std::size_t values_at(std::size_t cols) { return kInt8HeaderBytes + n_groups(cols) * sizeof(BitmaskGroup); }

std::uint64_t mask_of(const std::byte* strip, std::size_t quad) {
  std::uint64_t mask = 0;
  std::memcpy(&mask, strip + kInt8HeaderBytes + quad * sizeof(mask), sizeof(mask));
  return mask;
}

class BitmaskInt8Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kBitmaskInt8; }
  const char* name() const override { return "bitmask-int8"; }
  ActivationKind activations() const override { return ActivationKind::kInt8; }

  double expected_strip_bytes(std::size_t cols, const Zeros& zeros) const override {
    const double values = static_cast<double>(cols) * kStripRows * zeros.density;
    return static_cast<double>(values_at(cols)) + static_cast<double>(round_up_strip(static_cast<std::size_t>(values)));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    const std::size_t begin = out.size();
    out.resize(begin + values_at(cols));
    float scales[kStripRows] = {};
    for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row)
      scales[row] = int8_row_scale(weights + row * stride, cols);
    std::memcpy(out.data() + begin, scales, sizeof(scales));
    for (std::size_t quad = 0; quad * 4 < cols; ++quad) {
      std::uint64_t mask = 0;
      for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
        for (std::size_t i = 0; i < 4 && quad * 4 + i < cols; ++i) {
          const int steps = round_to_int8(weights[row * stride + quad * 4 + i], scales[row]);
          if (steps == 0) continue;
          mask |= std::uint64_t{1} << (row * 4 + i);
          out.push_back(static_cast<std::byte>(steps + kInt8Zero));
        }
      }
      std::memcpy(out.data() + begin + kInt8HeaderBytes + quad * sizeof(mask), &mask, sizeof(mask));
    }
    out.resize(begin + round_up_strip(out.size() - begin));
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    float scale = 0;
    std::memcpy(&scale, strip + static_cast<std::size_t>(row) * sizeof(scale), sizeof(scale));
    const std::byte* value = strip + values_at(cols);
    for (std::size_t quad = 0; quad * 4 < cols; ++quad) {
      const std::uint64_t mask = mask_of(strip, quad);
      for (std::size_t i = 0; i < 4 && quad * 4 + i < cols; ++i) {
        const std::uint64_t bit = std::uint64_t{1} << (static_cast<std::size_t>(row) * 4 + i);
        const auto before = static_cast<std::size_t>(__builtin_popcountll(mask & (bit - 1)));
        const int steps = (mask & bit) != 0 ? std::to_integer<int>(value[before]) - kInt8Zero : 0;
        out[quad * 4 + i] = static_cast<float>(steps) * scale;
      }
      value += __builtin_popcountll(mask);
    }
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    if (n_rows < 1 || n_rows > kStripRows || bytes < values_at(cols)) return false;
    for (std::size_t row = 0; row < kStripRows; ++row) {
      float scale = 0;
      std::memcpy(&scale, strip + row * sizeof(scale), sizeof(scale));
      if (!std::isfinite(scale) || scale < 0) return false;
    }
    std::size_t kept = 0;
    for (std::size_t quad = 0; quad < n_groups(cols) * kGroupQuads; ++quad) {
      const std::uint64_t mask = mask_of(strip, quad);
      if (quad * 4 >= cols && mask != 0) return false;
      kept += static_cast<std::size_t>(__builtin_popcountll(mask));
    }
    return bytes >= round_up_strip(values_at(cols) + kept);
  }
};

}  // namespace

const Format& bitmask_int8_format() {
  static const BitmaskInt8Format format;
  return format;
}

}  // namespace colonnade::engine
