#include "shard/gguf_types.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/base/format_text.h"
#include "shard/gguf_blocks.h"
#include "shard/plain_rows.h"

namespace colonnade::shard {
namespace {

template <Dtype dtype>
void decode_value(const std::byte* value, float* out) {
  convert_values(dtype, value, 1, out);
}

template <typename Block>
void decode_block(const std::byte* bytes, float* out) {
  Block block;
  std::memcpy(&block, bytes, sizeof block);
  decode(block, out);
}

template <typename Block>
constexpr GgufType of_blocks(std::uint32_t id, const char* name, std::size_t values) {
  return {id, name, static_cast<std::uint32_t>(values), sizeof(Block), decode_block<Block>};
}

constexpr GgufType kTypes[] = {
    {0, "F32", 1, 4, decode_value<Dtype::kF32>},
    {1, "F16", 1, 2, decode_value<Dtype::kF16>},
    of_blocks<BlockQ4_0>(2, "Q4_0", kGgufBlock),
    of_blocks<BlockQ4_1>(3, "Q4_1", kGgufBlock),
    of_blocks<BlockQ5_0>(6, "Q5_0", kGgufBlock),
    of_blocks<BlockQ5_1>(7, "Q5_1", kGgufBlock),
    of_blocks<BlockQ8_0>(8, "Q8_0", kGgufBlock),
    of_blocks<BlockQ2K>(10, "Q2_K", kGgufSuperBlock),
    of_blocks<BlockQ3K>(11, "Q3_K", kGgufSuperBlock),
    of_blocks<BlockQ4K>(12, "Q4_K", kGgufSuperBlock),
    of_blocks<BlockQ5K>(13, "Q5_K", kGgufSuperBlock),
    of_blocks<BlockQ6K>(14, "Q6_K", kGgufSuperBlock),
    of_blocks<BlockIq4Nl>(20, "IQ4_NL", kGgufBlock),
    of_blocks<BlockIq4Xs>(23, "IQ4_XS", kGgufSuperBlock),
    {28, "F64", 1, 8, decode_value<Dtype::kF64>},
    {30, "BF16", 1, 2, decode_value<Dtype::kBf16>},
    of_blocks<BlockMxfp4>(39, "MXFP4", kGgufBlock),
};

constexpr struct {
  std::uint32_t id;
  Dtype dtype;
} kPlain[] = {{0, Dtype::kF32}, {1, Dtype::kF16}, {28, Dtype::kF64}, {30, Dtype::kBf16}};

/// Types that exist elsewhere, for messages.
constexpr struct {
  std::uint32_t id;
  const char* name;
} kOthers[] = {{4, "Q4_2"}, {5, "Q4_3"}, {9, "Q8_1"}, {15, "Q8_K"}, {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
              {21, "IQ3_S"}, {22, "IQ2_S"}, {24, "I8"}, {25, "I16"}, {26, "I32"}, {27, "I64"}, {29, "IQ1_M"}, {31, "Q4_0_4_4"},
              {32, "Q4_0_4_8"}, {33, "Q4_0_8_8"}, {34, "TQ1_0"}, {35, "TQ2_0"}, {40, "NVFP4"}};

class GgufRows final : public RowReader {
 public:
  GgufRows(const GgufType& type, const std::byte* data, std::uint64_t cols)
      : type_(type), data_(data), row_bytes_(cols / type.block_values * type.block_bytes) {}

  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    const std::byte* begin = data_ + row * row_bytes_;
    const std::uint64_t n = type_.block_values, end_col = first_col + n_cols;
    std::array<float, kGgufSuperBlock> whole;
    for (std::uint64_t block = first_col / n; block * n < end_col; ++block) {
      const std::byte* bytes = begin + block * type_.block_bytes;
      const std::uint64_t first = std::max(first_col, block * n), end = std::min(end_col, (block + 1) * n);
      if (end - first == n) {
        type_.decode(bytes, out + (first - first_col));
        continue;
      }
      type_.decode(bytes, whole.data());
      std::copy_n(whole.data() + (first - block * n), end - first, out + (first - first_col));
    }
    return {};
  }

 private:
  const GgufType& type_;
  const std::byte* data_;
  std::uint64_t row_bytes_;
};

}  // namespace

const GgufType* find_gguf_type(std::uint32_t id) {
  const auto at = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const GgufType& type) { return type.id == id; });
  return at == std::end(kTypes) ? nullptr : &*at;
}

std::string gguf_type_name(std::uint32_t id) {
  if (const GgufType* type = find_gguf_type(id)) return type->name;
  for (const auto& other : kOthers)
    if (other.id == id) return other.name;
  return text("number ", id);
}

std::string known_gguf_types() {
  std::string names;
  for (const GgufType& type : kTypes) names += text(names.empty() ? "" : ", ", type.name);
  return names;
}

std::shared_ptr<const RowReader> gguf_rows(const GgufType& type, const std::byte* data, std::uint64_t cols) {
  for (const auto& plain : kPlain)
    if (plain.id == type.id) return plain_rows(plain.dtype, data, cols);
  return std::make_shared<GgufRows>(type, data, cols);
}

}  // namespace colonnade::shard
