#include "engine/kernels/store_kv.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "engine/formats/bf16.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {
namespace {

template <class Element, class Convert>
void store(const float* key, const float* value, int head_dim, int slot, std::byte* block, const Convert& convert) {
  const auto dim = static_cast<std::size_t>(head_dim);
  const auto position = static_cast<std::size_t>(slot);
  const std::size_t row = kv_value_stride(head_dim);
  auto* elements = reinterpret_cast<Element*>(block);
  Element* keys = elements + position / 16 * dim * 16 + position % 16;
  Element* values = elements + kPageTokens * dim + position * row;
  for (std::size_t d = 0; d < dim; ++d) keys[d * 16] = convert(key[d]);
  for (std::size_t d = 0; d < dim; ++d) values[d] = convert(value[d]);
  for (std::size_t d = dim; d < row; ++d) values[d] = convert(0.0f);
}

/// Rounds to even, as Simd::to_int does: for |x| < 2^22.
std::int8_t round_to_int8(float x) {
  const float magic = 12582912.0f;  // 1.5 * 2^23: the sum's low bits are the integer
  return static_cast<std::int8_t>(std::bit_cast<std::int32_t>(x + magic) - std::bit_cast<std::int32_t>(magic));
}

/// What each element is divided by; 0 where all are 0.
float scale_of(const float* x, std::size_t count) {
  float largest = 0.0f;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest / 127.0f;
}

}  // namespace

void store_kv_f32(const float* key, const float* value, int head_dim, int slot, std::byte* block) {
  store<float>(key, value, head_dim, slot, block, [](float x) { return x; });
}

void store_kv_bf16(const float* key, const float* value, int head_dim, int slot, std::byte* block) {
  store<std::uint16_t>(key, value, head_dim, slot, block, [](float x) { return f32_to_bf16(x); });
}

void store_kv_int8(const float* key, const float* value, int head_dim, int slot, std::byte* block) {
  const auto dim = static_cast<std::size_t>(head_dim);
  const auto position = static_cast<std::size_t>(slot);
  auto* elements = reinterpret_cast<std::int8_t*>(block);
  auto* scales = reinterpret_cast<float*>(elements + kv_block_elements(head_dim));
  // The bounds matter where the scale is itself rounded: heads of subnormal numbers.
  const auto convert = [](float x, float scale) {
    return scale == 0.0f ? std::int8_t{0} : round_to_int8(std::clamp(x / scale, -127.0f, 127.0f));
  };
  const float key_scale = scale_of(key, dim), value_scale = scale_of(value, dim);
  std::int8_t* keys = elements + position / 16 * dim * 16 + position % 16;
  std::int8_t* values = elements + kPageTokens * dim + position * kv_value_stride(head_dim);
  for (std::size_t d = 0; d < dim; ++d) keys[d * 16] = convert(key[d], key_scale);
  for (std::size_t d = 0; d < dim; ++d) values[d] = convert(value[d], value_scale);
  std::fill(values + dim, values + kv_value_stride(head_dim), std::int8_t{0});
  scales[position] = key_scale;
  scales[kPageTokens + position] = value_scale;
}

}  // namespace colonnade::engine
