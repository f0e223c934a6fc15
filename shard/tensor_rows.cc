#include "shard/tensor_rows.h"

#include <bit>
#include <cstring>

#include "engine/base/format_text.h"
#include "engine/formats/bf16.h"
#include "shard/half.h"
#include "shard/tensor_layout.h"

namespace colonnade::shard {
namespace {

template <typename Bits>
Bits load(const std::byte* at) {
  Bits bits;
  std::memcpy(&bits, at, sizeof bits);  // tensors may lie unaligned in their file
  return bits;
}

void convert(Dtype dtype, const std::byte* from, std::uint64_t count, float* out) {
  switch (dtype) {
    case Dtype::kF32:
      std::memcpy(out, from, count * 4);
      return;
    case Dtype::kBf16:
      for (std::uint64_t i = 0; i < count; ++i) out[i] = engine::bf16_to_f32(load<std::uint16_t>(from + 2 * i));
      return;
    default:
      for (std::uint64_t i = 0; i < count; ++i) out[i] = f16_to_f32(load<std::uint16_t>(from + 2 * i));
  }
}

/// Set bits among the first `bits` bits of a bitmask.
std::uint64_t count_bits(const std::byte* mask, std::uint64_t bits) {
  std::uint64_t count = 0;
  std::uint64_t byte = 0;
  for (; (byte + 8) * 8 <= bits; byte += 8)
    count += static_cast<std::uint64_t>(std::popcount(load<std::uint64_t>(mask + byte)));
  for (; byte * 8 < bits; ++byte) {
    const std::uint64_t left = bits - byte * 8;
    const unsigned keep = left >= 8 ? 0xffu : (1u << left) - 1u;
    count += static_cast<std::uint64_t>(std::popcount(std::to_integer<unsigned>(mask[byte]) & keep));
  }
  return count;
}

}  // namespace

Status TensorRows::read(const Window& window, float* out, std::size_t stride) const {
  COLONNADE_CHECK(window.first_row + window.n_rows <= rows_ && window.first_col + window.n_cols <= cols_,
                  "a window outside of tensor " + name_);
  const std::uint64_t element = dtype_bytes(dtype_);
  for (std::uint64_t r = 0; r < window.n_rows; ++r) {
    const std::uint64_t row = window.first_row + r;
    if (is_sparse()) {
      COLONNADE_TRY(read_sparse_row(row, window, out + r * stride));
    } else {
      convert(dtype_, values_ + (row * cols_ + window.first_col) * element, window.n_cols, out + r * stride);
    }
  }
  return {};
}

Status TensorRows::read_sparse_row(std::uint64_t row, const Window& window, float* out) const {
  const std::uint64_t mask_bytes = (cols_ + 7) / 8;
  const std::byte* mask = bitmask_ + row * mask_bytes;
  const std::uint64_t begin = load<std::uint64_t>(offsets_ + 8 * row);
  const std::uint64_t end = row + 1 < rows_ ? load<std::uint64_t>(offsets_ + 8 * (row + 1)) : n_values_;
  if (begin > end || end > n_values_)
    return Error{ErrorCode::kCorrupt, text("tensor ", name_, ": row_offsets of row ", row, " say values ", begin, " to ",
                                           end, " of ", n_values_)};
  const std::uint64_t set = count_bits(mask, mask_bytes * 8);
  if (set != end - begin)
    return Error{ErrorCode::kCorrupt, text("tensor ", name_, ": row ", row, " has ", set, " bits set in bitmask, but ",
                                           end - begin, " values by row_offsets and compressed")};
  if (count_bits(mask, cols_) != set)
    return Error{ErrorCode::kCorrupt,
                 text("tensor ", name_, ": row ", row, " has bits set in bitmask beyond column ", cols_)};

  const std::uint64_t element = dtype_bytes(dtype_);
  const std::byte* value = values_ + (begin + count_bits(mask, window.first_col)) * element;
  std::memset(out, 0, window.n_cols * sizeof(float));
  // One byte of the bitmask at a time; the first and last are cut to the window.
  const std::uint64_t last_col = window.first_col + window.n_cols;
  for (std::uint64_t byte = window.first_col / 8; byte * 8 < last_col; ++byte) {
    unsigned bits = std::to_integer<unsigned>(mask[byte]);
    if (byte * 8 < window.first_col) bits &= 0xffu << (window.first_col - byte * 8);
    if (last_col - byte * 8 < 8) bits &= (1u << (last_col - byte * 8)) - 1u;
    for (bits &= 0xffu; bits != 0; bits &= bits - 1) {
      const std::uint64_t col = byte * 8 + static_cast<std::uint64_t>(std::countr_zero(bits));
      convert(dtype_, value, 1, out + (col - window.first_col));
      value += element;
    }
  }
  return {};
}

Result<TensorRows> find_tensor(const Checkpoint& checkpoint, const std::string& name, std::uint64_t rows,
                               std::uint64_t cols) {
  COLONNADE_ASSIGN(const std::string prefix, sparse_prefix(checkpoint, name));
  if (!prefix.empty()) return TensorRows::open_bitmask(checkpoint, name, prefix, rows, cols);

  return TensorRows::open_plain(checkpoint, name, rows > 0 ? std::vector{rows, cols} : std::vector{cols});
}

Result<TensorRows> find_stacked_tensor(const Checkpoint& checkpoint, const std::string& name, std::uint64_t slices,
                                       std::uint64_t rows, std::uint64_t cols) {
  return TensorRows::open_plain(checkpoint, name, {slices, rows, cols});
}

Result<TensorRows> TensorRows::open_plain(const Checkpoint& checkpoint, const std::string& name,
                                          const std::vector<std::uint64_t>& shape) {
  const Tensor* tensor = checkpoint.find(name);
  if (tensor == nullptr)
    return Error{ErrorCode::kNotFound, text("tensor ", name, " is missing: expected in ",
                                            checkpoint.file_names().front(),
                                            checkpoint.file_names().size() > 1 ? " or the other files" : "")};
  if (tensor->dtype != Dtype::kF32 && tensor->dtype != Dtype::kF16 && tensor->dtype != Dtype::kBf16)
    return Error{ErrorCode::kUnsupported, text("tensor ", name, " in ", checkpoint.file_of(*tensor), " has dtype ",
                                               dtype_name(tensor->dtype), "; supported are F32, F16 and BF16")};
  if (tensor->shape != shape)
    return Error{ErrorCode::kCorrupt, text("tensor ", name, " in ", checkpoint.file_of(*tensor), ": expected shape ",
                                           shape_text(shape), ", found ", shape_text(tensor->shape))};
  TensorRows result;
  result.name_ = name;
  result.rows_ = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) result.rows_ *= shape[i];
  result.cols_ = shape.back();
  result.dtype_ = tensor->dtype;
  result.values_ = tensor->data.data();
  result.n_values_ = result.rows_ * result.cols_;
  return result;
}

Result<TensorRows> TensorRows::open_bitmask(const Checkpoint& checkpoint, const std::string& name,
                                            const std::string& prefix, std::uint64_t rows, std::uint64_t cols) {
  COLONNADE_ASSIGN(const BitmaskTensors tensors, check_bitmask(checkpoint, prefix, rows, cols));
  TensorRows result;
  result.name_ = name;
  result.rows_ = rows > 0 ? rows : 1;
  result.cols_ = cols;
  result.dtype_ = tensors.compressed->dtype;
  result.values_ = tensors.compressed->data.data();
  result.n_values_ = tensors.compressed->shape[0];
  result.bitmask_ = tensors.bitmask->data.data();
  result.offsets_ = tensors.row_offsets->data.data();
  if (load<std::uint64_t>(result.offsets_) != 0)
    return Error{ErrorCode::kCorrupt, text("tensor ", prefix, ".row_offsets: expected the first offset to be 0, found ",
                                           load<std::uint64_t>(result.offsets_))};
  return result;
}

}  // namespace colonnade::shard
