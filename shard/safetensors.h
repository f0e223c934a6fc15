// The header of a safetensors file: which tensors lie where. Format: u64 header length (little-endian), that many
// bytes of JSON {name: {dtype, shape, data_offsets}}, then the tensors without holes
// (https://github.com/huggingface/safetensors#format). The bytes are untrusted: nothing is allocated by a size that
// the file merely claims.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "shard/shape.h"

namespace colonnade::shard {

enum class Dtype { kF64, kF32, kF16, kBf16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool, kF8E4M3, kF8E5M2, kF8E8M0 };

const char* dtype_name(Dtype dtype);  // "BF16": as in the file
std::uint64_t dtype_bytes(Dtype dtype);

/// One tensor; `data` points into the file's bytes and may be unaligned.
struct Tensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  Shape shape;
  std::span<const std::byte> data;
};

/// Checks and lists the tensors of a whole file, sorted by name. `what` names the file in messages. kCorrupt names
/// the field or tensor, the expected and the found value; kUnsupported an unknown dtype. `file` must outlive the
/// result.
Result<std::vector<Tensor>> parse_safetensors(std::span<const std::byte> file, std::string_view what);

}  // namespace colonnade::shard
