// bitmask-bf16: one mask bit a weight, and 16 bits for each that is kept. Multiplies to the same bits as bf16.
#include <cstring>

#include "engine/formats/bf16.h"
#include "engine/formats/builtin_formats.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t mask_bytes(std::size_t cols) {
  return padded_cols(cols, kBitmaskBf16Granule) * sizeof(std::uint16_t);
}

std::uint16_t mask_of(const std::byte* strip, std::size_t col) {
  std::uint16_t mask = 0;
  std::memcpy(&mask, strip + col * sizeof(mask), sizeof(mask));
  return mask;
}

class BitmaskBf16Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kBitmaskBf16; }
  const char* name() const override { return "bitmask-bf16"; }
  ActivationKind activations() const override { return ActivationKind::kF32; }

  double expected_strip_bytes(std::size_t cols, const Zeros& zeros) const override {
    const double values = static_cast<double>(cols) * kStripRows * zeros.density * sizeof(std::uint16_t);
    return static_cast<double>(mask_bytes(cols)) + static_cast<double>(round_up_strip(static_cast<std::size_t>(values)));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    const std::size_t begin = out.size();
    out.resize(begin + mask_bytes(cols));
    for (std::size_t col = 0; col < cols; ++col) {
      std::uint16_t mask = 0;
      for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
        const std::uint16_t bits = f32_to_bf16(weights[row * stride + col]);
        if ((bits & 0x7fffu) == 0) continue;
        mask = static_cast<std::uint16_t>(mask | 1u << row);
        const auto* bytes = reinterpret_cast<const std::byte*>(&bits);
        out.insert(out.end(), bytes, bytes + sizeof(bits));
      }
      std::memcpy(out.data() + begin + col * sizeof(mask), &mask, sizeof(mask));
    }
    out.resize(begin + round_up_strip(out.size() - begin));
  }

  void decode_strip(const std::byte* strip, int n_rows, std::size_t cols, float* out,
                    std::size_t stride) const override {
    const std::byte* value = strip + mask_bytes(cols);
    for (std::size_t col = 0; col < cols; ++col) {
      const std::uint16_t mask = mask_of(strip, col);
      for (std::size_t row = 0; row < kStripRows; ++row) {
        std::uint16_t bits = 0;
        if ((mask >> row & 1u) != 0) {
          std::memcpy(&bits, value, sizeof(bits));
          value += sizeof(bits);
        }
        if (row < static_cast<std::size_t>(n_rows)) out[row * stride + col] = bf16_to_f32(bits);
      }
    }
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    const std::byte* value = strip + mask_bytes(cols);
    for (std::size_t col = 0; col < cols; ++col) {
      const unsigned mask = mask_of(strip, col);
      std::uint16_t bits = 0;
      const auto before = static_cast<std::size_t>(__builtin_popcount(mask & ((1u << row) - 1)));
      if ((mask >> row & 1u) != 0) std::memcpy(&bits, value + before * sizeof(bits), sizeof(bits));
      out[col] = bf16_to_f32(bits);
      value += static_cast<std::size_t>(__builtin_popcount(mask)) * sizeof(bits);
    }
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    if (n_rows < 1 || n_rows > kStripRows || bytes < mask_bytes(cols)) return false;
    std::size_t kept = 0;
    for (std::size_t col = 0; col < mask_bytes(cols) / sizeof(std::uint16_t); ++col) {
      const std::uint16_t mask = mask_of(strip, col);
      if (col >= cols && mask != 0) return false;
      kept += static_cast<std::size_t>(__builtin_popcount(mask));
    }
    return bytes >= round_up_strip(mask_bytes(cols) + kept * sizeof(std::uint16_t));
  }
};

}  // namespace

const Format& bitmask_bf16_format() {
  static const BitmaskBf16Format format;
  return format;
}

}  // namespace colonnade::engine
