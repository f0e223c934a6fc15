#include "shard/bitmask_rows.h"

#include <bit>
#include <cstring>
#include <utility>

#include "engine/base/format_text.h"
#include "shard/plain_rows.h"

namespace colonnade::shard {
namespace {

/// Set bits among the first `bits` bits of a bitmask.
std::uint64_t count_bits(const std::byte* mask, std::uint64_t bits) {
  std::uint64_t count = 0;
  std::uint64_t byte = 0;
  for (; (byte + 8) * 8 <= bits; byte += 8)
    count += static_cast<std::uint64_t>(std::popcount(load_bits<std::uint64_t>(mask + byte)));
  for (; byte * 8 < bits; ++byte) {
    const std::uint64_t left = bits - byte * 8;
    const unsigned keep = left >= 8 ? 0xffu : (1u << left) - 1u;
    count += static_cast<std::uint64_t>(std::popcount(std::to_integer<unsigned>(mask[byte]) & keep));
  }
  return count;
}

class BitmaskRows final : public RowReader {
 public:
  explicit BitmaskRows(BitmaskLayout layout) : layout_(std::move(layout)) {}

  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    const std::uint64_t mask_bytes = (layout_.cols + 7) / 8;
    const std::byte* mask = layout_.bitmask + row * mask_bytes;
    COLONNADE_ASSIGN(const std::uint64_t begin, check_row(row, mask));
    const std::uint64_t element = dtype_bytes(layout_.dtype);
    const std::byte* value = layout_.values + (begin + count_bits(mask, first_col)) * element;
    if (n_cols > 0) std::memset(out, 0, n_cols * sizeof(float));
    // One byte of the bitmask at a time; the first and last are cut to the window.
    const std::uint64_t last_col = first_col + n_cols;
    for (std::uint64_t byte = first_col / 8; byte * 8 < last_col; ++byte) {
      unsigned bits = std::to_integer<unsigned>(mask[byte]);
      if (byte * 8 < first_col) bits &= 0xffu << (first_col - byte * 8);
      if (last_col - byte * 8 < 8) bits &= (1u << (last_col - byte * 8)) - 1u;
      for (bits &= 0xffu; bits != 0; bits &= bits - 1) {
        const std::uint64_t col = byte * 8 + static_cast<std::uint64_t>(std::countr_zero(bits));
        convert_values(layout_.dtype, value, 1, out + (col - first_col));
        value += element;
      }
    }
    return {};
  }

 private:
  /// Where the row's values begin.
  Result<std::uint64_t> check_row(std::uint64_t row, const std::byte* mask) const {
    std::uint64_t begin = row * (layout_.cols / 2);
    std::uint64_t end = begin + layout_.cols / 2;
    if (layout_.offsets != nullptr) {
      begin = load_bits<std::uint64_t>(layout_.offsets + 8 * row);
      end = row + 1 < layout_.rows ? load_bits<std::uint64_t>(layout_.offsets + 8 * (row + 1)) : layout_.n_values;
    }
    if (begin > end || end > layout_.n_values)
      return Error{ErrorCode::kCorrupt, text(layout_.title, ": row_offsets of row ", row, " say values ", begin, " to ", end, " of ",
                                             layout_.n_values)};
    const std::uint64_t set = count_bits(mask, (layout_.cols + 7) / 8 * 8);
    if (set != end - begin)
      return Error{ErrorCode::kCorrupt, text(layout_.title, ": row ", row, " has ", set, " bits set in bitmask, but ", end - begin,
                                             layout_.offsets != nullptr ? " values by row_offsets and compressed" : " values in compressed")};
    if (count_bits(mask, layout_.cols) != set)
      return Error{ErrorCode::kCorrupt, text(layout_.title, ": row ", row, " has bits set in bitmask beyond column ", layout_.cols)};
    return begin;
  }

  BitmaskLayout layout_;
};

}  // namespace

std::shared_ptr<const RowReader> bitmask_rows(BitmaskLayout layout) { return std::make_shared<BitmaskRows>(std::move(layout)); }

}  // namespace colonnade::shard
