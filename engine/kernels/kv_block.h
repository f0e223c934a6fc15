// How keys and values lie in the KV cache. A page holds kPageTokens positions; a page of one layer and KV head is one
// block of kv_block_bytes():
//
//   keys          (head_dim, kPageTokens)              neighbours: positions
//   values        per 64 dimensions of the head_dim padded to 16, the last fewer: (kPageTokens, 64)
//   key scales    (kPageTokens) floats, kInt8 only
//   value scales  (kPageTokens) floats, kInt8 only
//
// Where all heads share one latent row (multi-head latent attention), a block holds rows, latent first, then rotated key:
//
//   rows            (row_dim, kPageTokens)              neighbours: positions
//   rotated scales  (kPageTokens) floats, kInt8 only
//   latent scales   (kPageTokens) floats, kInt8 only
//
// Elements are f32, bf16 or int8. An int8 key or value of a position is round(x / scale), scale = max|x| / 127 over
// the head's elements at that position: what is stored for a position depends on nothing but its key and value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace colonnade::engine {

enum class KvType : std::uint8_t { kF32, kBf16, kInt8 };
inline constexpr int kKvTypes = 3;

/// "f32", "bf16", "int8".
constexpr std::string_view kv_type_name(KvType type) {
  constexpr std::string_view names[kKvTypes] = {"f32", "bf16", "int8"};
  return names[static_cast<std::size_t>(type)];
}
constexpr std::optional<KvType> find_kv_type(std::string_view name) {
  for (const KvType type : {KvType::kF32, KvType::kBf16, KvType::kInt8})
    if (kv_type_name(type) == name) return type;
  return std::nullopt;
}

/// Positions of one page.
inline constexpr int kPageTokens = 32;

constexpr std::size_t kv_element_bytes(KvType type) { return type == KvType::kF32 ? 4 : type == KvType::kBf16 ? 2 : 1; }

/// Elements of a position's value, which is padded with zeros.
constexpr std::size_t kv_value_stride(int head_dim) { return (static_cast<std::size_t>(head_dim) + 15) / 16 * 16; }

/// Dimensions of a value that lie together: what one pass over a page reads is one stream.
inline constexpr std::size_t kValueChunk = 64;
/// Place of dimension d of the value of a slot among a block's elements, and of the key.
constexpr std::size_t kv_value_at(int head_dim, std::size_t slot, std::size_t d) {
  const std::size_t chunk = d / kValueChunk * kValueChunk, stride = kv_value_stride(head_dim);
  const std::size_t width = stride - chunk < kValueChunk ? stride - chunk : kValueChunk;
  return kPageTokens * (static_cast<std::size_t>(head_dim) + chunk) + slot * width + d % kValueChunk;
}
constexpr std::size_t kv_key_at(std::size_t slot, std::size_t d) { return d * kPageTokens + slot; }

/// Elements of one block, keys and values.
constexpr std::size_t kv_block_elements(int head_dim) {
  return kPageTokens * (static_cast<std::size_t>(head_dim) + kv_value_stride(head_dim));
}

constexpr std::size_t kv_block_bytes(int head_dim, KvType type) {
  const std::size_t scales = type == KvType::kInt8 ? 2 * kPageTokens * sizeof(float) : 0;
  return (kv_block_elements(head_dim) * kv_element_bytes(type) + scales + 63) / 64 * 64;  // blocks begin on cache lines
}
constexpr std::size_t latent_block_bytes(int row_dim, KvType type) {
  const std::size_t scales = type == KvType::kInt8 ? 2 * kPageTokens * sizeof(float) : 0;
  return (kPageTokens * static_cast<std::size_t>(row_dim) * kv_element_bytes(type) + scales + 63) / 64 * 64;
}
static_assert(kv_block_bytes(64, KvType::kF32) == 16384 && kv_block_bytes(64, KvType::kBf16) == 8192 &&
              kv_block_bytes(64, KvType::kInt8) == 4352);

}  // namespace colonnade::engine
