#include "shard/mxfp4_rows.h"

#include "shard/float8.h"

namespace colonnade::shard {
namespace {

class Mxfp4Rows final : public RowReader {
 public:
  Mxfp4Rows(const std::byte* blocks, const std::byte* scales, std::uint64_t groups) : blocks_(blocks), scales_(scales), groups_(groups) {}

  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    for (std::uint64_t i = 0; i < n_cols; ++i) {
      const std::uint64_t col = first_col + i, block = row * groups_ + col / kMxfp4Block;
      const auto pair = std::to_integer<unsigned>(blocks_[block * (kMxfp4Block / 2) + col % kMxfp4Block / 2]);
      out[i] = kE2m1[col % 2 == 0 ? pair & 15u : pair >> 4] * e8m0_to_f32(std::to_integer<std::uint8_t>(scales_[block]));
    }
    return {};
  }

 private:
  const std::byte* blocks_;
  const std::byte* scales_;
  std::uint64_t groups_;
};

}  // namespace

std::shared_ptr<const RowReader> mxfp4_rows(const std::byte* blocks, const std::byte* scales, std::uint64_t groups) {
  return std::make_shared<Mxfp4Rows>(blocks, scales, groups);
}

}  // namespace colonnade::shard
