// f32: the weights themselves. For exact checks against other implementations.
#include <cstring>

#include "engine/formats/builtin_formats.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t strip_bytes(std::size_t cols) {
  return padded_cols(cols, kF32ColumnGranule) * kF32ColumnBytes;
}

class F32Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kF32; }
  const char* name() const override { return "f32"; }
  ActivationKind activations() const override { return ActivationKind::kF32; }

  double expected_strip_bytes(std::size_t cols, const Zeros& /*zeros*/) const override {
    return static_cast<double>(strip_bytes(cols));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    const std::size_t begin = out.size();
    out.resize(begin + strip_bytes(cols));
    for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows); ++row) {
      std::byte* to = out.data() + begin + row * sizeof(float);
      for (std::size_t col = 0; col < cols; ++col) {
        std::memcpy(to + col * kF32ColumnBytes, weights + row * stride + col, sizeof(float));
      }
    }
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    const std::byte* from = strip + static_cast<std::size_t>(row) * sizeof(float);
    for (std::size_t col = 0; col < cols; ++col) {
      std::memcpy(out + col, from + col * kF32ColumnBytes, sizeof(float));
    }
  }

  bool strip_is_valid(const std::byte* /*strip*/, std::size_t bytes, int n_rows, std::size_t cols) const override {
    return n_rows >= 1 && n_rows <= kStripRows && bytes >= strip_bytes(cols);
  }
};

}  // namespace

const Format& f32_format() {
  static const F32Format format;
  return format;
}

}  // namespace colonnade::engine
