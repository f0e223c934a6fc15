#include "shard/plain_rows.h"

#include "engine/formats/bf16.h"
#include "shard/float8.h"
#include "shard/half.h"

namespace colonnade::shard {
namespace {

class PlainRows final : public RowReader {
 public:
  PlainRows(Dtype dtype, const std::byte* values, std::uint64_t cols)
      : dtype_(dtype), element_bytes_(dtype_bytes(dtype)), values_(values), cols_(cols) {}

  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    convert_values(dtype_, values_ + (row * cols_ + first_col) * element_bytes_, n_cols, out);
    return {};
  }

 private:
  Dtype dtype_;
  std::uint64_t element_bytes_;
  const std::byte* values_;
  std::uint64_t cols_;
};

template <typename Bits, typename Convert>
void convert_each(const std::byte* from, std::uint64_t count, float* out, Convert convert) {
  for (std::uint64_t i = 0; i < count; ++i) out[i] = convert(load_bits<Bits>(from + i * sizeof(Bits)));
}

}  // namespace

bool is_weight_dtype(Dtype dtype) {
  return dtype == Dtype::kF64 || dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBf16;
}

void convert_values(Dtype dtype, const std::byte* from, std::uint64_t count, float* out) {
  switch (dtype) {
    case Dtype::kF64: return convert_each<double>(from, count, out, [](double v) { return static_cast<float>(v); });
    case Dtype::kF32:
      if (count > 0) std::memcpy(out, from, count * sizeof(float));
      return;
    case Dtype::kF16: return convert_each<std::uint16_t>(from, count, out, f16_to_f32);
    case Dtype::kBf16: return convert_each<std::uint16_t>(from, count, out, engine::bf16_to_f32);
    case Dtype::kF8E4M3: return convert_each<std::uint8_t>(from, count, out, e4m3_to_f32);
    case Dtype::kF8E5M2: return convert_each<std::uint8_t>(from, count, out, e5m2_to_f32);
    case Dtype::kF8E8M0: return convert_each<std::uint8_t>(from, count, out, e8m0_to_f32);
    case Dtype::kI32: return convert_each<std::int32_t>(from, count, out, [](std::int32_t v) { return static_cast<float>(v); });
    case Dtype::kI64: return convert_each<std::int64_t>(from, count, out, [](std::int64_t v) { return static_cast<float>(v); });
    case Dtype::kI8: return convert_each<std::int8_t>(from, count, out, [](std::int8_t v) { return static_cast<float>(v); });
    case Dtype::kU8: return convert_each<std::uint8_t>(from, count, out, [](std::uint8_t v) { return static_cast<float>(v); });
    default: COLONNADE_CHECK(false, "values of a type that is no number of a weight");
  }
}

std::shared_ptr<const RowReader> plain_rows(Dtype dtype, const std::byte* values, std::uint64_t cols) {
  return std::make_shared<PlainRows>(dtype, values, cols);
}

}  // namespace colonnade::shard
