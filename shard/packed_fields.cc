#include "shard/packed_fields.h"

#include "shard/plain_rows.h"

namespace colonnade::shard {
namespace {

class PackedRows final : public RowReader {
 public:
  PackedRows(FieldLayout layout, const std::byte* words, std::uint64_t cols) : layout_(layout), words_(words), row_words_(layout.words(cols)) {}

  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    const ColumnFields fields{layout_, words_ + row * row_words_ * 4, 1};
    for (std::uint64_t i = 0; i < n_cols; ++i) out[i] = static_cast<float>(fields.at(first_col + i, 0));
    return {};
  }

 private:
  FieldLayout layout_;
  const std::byte* words_;
  std::uint64_t row_words_;
};

}  // namespace

std::uint64_t FieldLayout::words(std::uint64_t count) const {
  const auto n = static_cast<std::uint64_t>(bits);
  const std::uint64_t each = 32 / n;
  return across_words ? (count * n + 31) / 32 : (count + each - 1) / each;
}

int ColumnFields::at(std::uint64_t i, std::uint64_t col) const {
  const auto n = static_cast<std::uint64_t>(layout.bits);
  const std::uint64_t each = 32 / n;
  const std::uint64_t first_bit = layout.across_words ? i * n : i / each * 32 + i % each * n;
  const auto word = [&](std::uint64_t w) { return std::uint64_t{load_bits<std::uint32_t>(words + (w * stride + col) * 4)}; };
  const std::uint64_t at_word = first_bit / 32, shift = first_bit % 32;
  std::uint64_t value = word(at_word) >> shift;
  if (shift + n > 32) value |= word(at_word + 1) << (32 - shift);
  const std::uint64_t mask = (std::uint64_t{1} << n) - 1;
  return static_cast<int>(value & mask) - (1 << (layout.bits - 1));
}

std::shared_ptr<const RowReader> packed_rows(FieldLayout layout, const std::byte* words, std::uint64_t cols) {
  return std::make_shared<PackedRows>(layout, words, cols);
}

}  // namespace colonnade::shard
