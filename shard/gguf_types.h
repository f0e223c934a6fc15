// The types of GGUF tensors (ggml_type): which are read, and how.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "shard/tensor_rows.h"

namespace colonnade::shard {

struct GgufType {
  std::uint32_t id;
  const char* name;            // "Q4_K"
  std::uint32_t block_values;  // rows are whole blocks
  std::uint32_t block_bytes;
  /// Writes block_values numbers; `block` may be unaligned.
  void (*decode)(const std::byte* block, float* out);
};

/// nullptr when the type is not read here.
const GgufType* find_gguf_type(std::uint32_t id);

/// "IQ2_XXS", also of types that are not read; "number 77" of others.
std::string gguf_type_name(std::uint32_t id);

/// "F32, F16, …"
std::string known_gguf_types();

/// Rows of `cols` numbers, a multiple of type.block_values. `type` lives for ever.
std::shared_ptr<const RowReader> gguf_rows(const GgufType& type, const std::byte* data, std::uint64_t cols);

}  // namespace colonnade::shard
