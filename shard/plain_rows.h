// Tensors that are stored value by value, and the conversion of such values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "shard/safetensors.h"
#include "shard/tensor_rows.h"

namespace colonnade::shard {

/// Tensors may lie unaligned in their file.
template <typename Bits>
Bits load_bits(const std::byte* at) {
  Bits bits;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}

/// F64, F32, F16, BF16: those that are weights by themselves.
bool is_weight_dtype(Dtype dtype);

/// `dtype` is one of the above, an eight-bit float, I8, U8, I32 or I64.
void convert_values(Dtype dtype, const std::byte* from, std::uint64_t count, float* out);

/// Rows of `cols` values.
std::shared_ptr<const RowReader> plain_rows(Dtype dtype, const std::byte* values, std::uint64_t cols);

}  // namespace colonnade::shard
