// Writing sixteen neighbouring positions into a KV page at once: their keys are turned, because in a page neighbours are
// positions. The same bits as store_kv.cc writes for each of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/elementwise.inl.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {

/// An int8 row's scale, as store_kv.cc has it: what is no number does not count.
template <class V>
[[gnu::always_inline]] inline float kv_scale(const float* row, std::size_t count) {
  typename V::F largest = V::zero();
  for_lanes(count, [&](std::size_t i, std::size_t n) { largest = V::max(V::abs(load_lanes<V>(row + i, n)), largest); });
  return V::largest(largest) / 127.0f;
}

/// x / scale, rounded; 0 in the lanes that are not `used`, whose scale is 0.
template <class V>
[[gnu::always_inline]] inline typename V::I kv_quantized(typename V::F x, typename V::F scale, unsigned used) {
  const typename V::F steps = V::div(x, scale);
  return V::keep_lanes(used, V::to_int(V::min(V::max(steps, V::set(-127.0f)), V::set(127.0f))));
}

template <class V, class T, KvType Type>
void store_kv_positions(const float* keys, const float* values, std::size_t stride, int head_dim, int slot, std::byte* block) {
  using F = typename V::F;
  constexpr std::size_t kPositions = kStoredTogether, kBytes = kv_element_bytes(Type);
  const auto dim = static_cast<std::size_t>(head_dim), first = static_cast<std::size_t>(slot);
  float key_scales[kPositions], value_scales[kPositions];
  unsigned keys_used = 0;
  if constexpr (Type == KvType::kInt8) {
    for (std::size_t i = 0; i < kPositions; ++i) {
      key_scales[i] = kv_scale<V>(keys + i * stride, dim);
      value_scales[i] = kv_scale<V>(values + i * stride, dim);
      keys_used |= static_cast<unsigned>(key_scales[i] != 0.0f) << i;
    }
    auto* const scales = reinterpret_cast<float*>(block + kv_block_elements(head_dim)) + slot;
    V::store(scales, V::load(key_scales));
    V::store(scales + kPageTokens, V::load(value_scales));
  }
  const auto store = [&](std::size_t element, F x, F scale, unsigned used) {
    std::byte* const to = block + element * kBytes;
    if constexpr (Type == KvType::kF32) V::store(reinterpret_cast<float*>(to), x);
    else if constexpr (Type == KvType::kBf16) V::store_bf16(reinterpret_cast<std::uint16_t*>(to), x);
    else V::store_bytes(reinterpret_cast<std::int8_t*>(to), kv_quantized<V>(x, scale, used));
  };

  alignas(64) float rows[kPositions][16], turned[16][kPositions];
  const F scale_of_positions = Type == KvType::kInt8 ? V::load(key_scales) : V::zero();
  for (std::size_t d = 0; d < dim; d += 16) {
    const std::size_t n = dim - d < 16 ? dim - d : 16;
    const bool whole = n == 16;
    if (!whole) {
      for (std::size_t i = 0; i < kPositions; ++i) V::store(rows[i], V::load_part(keys + i * stride + d, n));
    }
    T::turn_16(whole ? keys + d : rows[0], whole ? stride : 16, 16, turned[0], kPositions);
    for (std::size_t i = 0; i < n; ++i) store(kv_key_at(first, d + i), V::load(turned[i]), scale_of_positions, keys_used);
  }
  for (std::size_t i = 0; i < kPositions; ++i) {
    const F scale = Type == KvType::kInt8 ? V::set(value_scales[i]) : V::zero();
    const unsigned used = Type == KvType::kInt8 && value_scales[i] != 0.0f ? 0xffffu : 0;
    // The last ones with the zeros that pad them.
    for (std::size_t d = 0; d < dim; d += 16)
      store(kv_value_at(head_dim, first + i, d), load_lanes<V>(values + i * stride + d, dim - d < 16 ? dim - d : 16), scale, used);
  }
}

}  // namespace colonnade::engine
