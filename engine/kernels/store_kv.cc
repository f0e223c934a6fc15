#include "engine/kernels/store_kv.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "engine/formats/bf16.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {
namespace {

template <class Element, class ConvertKey, class ConvertValue>
void store(const float* key, const float* value, int head_dim, int slot, std::byte* block, const ConvertKey& convert_key,
           const ConvertValue& convert_value) {
  const auto dim = static_cast<std::size_t>(head_dim);
  const auto position = static_cast<std::size_t>(slot);
  auto* elements = reinterpret_cast<Element*>(block);
  for (std::size_t d = 0; d < dim; ++d) elements[kv_key_at(position, d)] = convert_key(key[d]);
  for (std::size_t d = 0; d < dim; ++d) elements[kv_value_at(head_dim, position, d)] = convert_value(value[d]);
  for (std::size_t d = dim; d < kv_value_stride(head_dim); ++d)
    elements[kv_value_at(head_dim, position, d)] = convert_value(0.0f);
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

auto round_by(float scale) {
  // The bounds matter where the scale is itself rounded: heads of subnormal numbers. What is no number becomes the lower one.
  return [scale](float x) {
    const float steps = x / scale;
    return scale == 0.0f ? std::int8_t{0} : round_to_int8(steps > -127.0f ? std::min(steps, 127.0f) : -127.0f);
  };
}

template <class Element, class Convert>
void store_row(const float* row, int first_dim, int end_dim, int slot, std::byte* block, const Convert& convert) {
  auto* elements = reinterpret_cast<Element*>(block);
  for (auto d = static_cast<std::size_t>(first_dim); d < static_cast<std::size_t>(end_dim); ++d)
    elements[kv_key_at(static_cast<std::size_t>(slot), d)] = convert(row[d]);
}

}  // namespace

void store_kv_f32(const float* key, const float* value, int head_dim, int slot, std::byte* block) {
  const auto same = [](float x) { return x; };
  store<float>(key, value, head_dim, slot, block, same, same);
}

void store_kv_bf16(const float* key, const float* value, int head_dim, int slot, std::byte* block) {
  const auto round = [](float x) { return f32_to_bf16(x); };
  store<std::uint16_t>(key, value, head_dim, slot, block, round, round);
}

void store_kv_int8(const float* key, const float* value, int head_dim, int slot, std::byte* block) {
  const auto dim = static_cast<std::size_t>(head_dim);
  const float key_scale = scale_of(key, dim), value_scale = scale_of(value, dim);
  auto* scales = reinterpret_cast<float*>(block + kv_block_elements(head_dim));
  scales[slot] = key_scale;
  scales[kPageTokens + slot] = value_scale;
  store<std::int8_t>(key, value, head_dim, slot, block, round_by(key_scale), round_by(value_scale));
}

void store_latent_f32(const float* row, int, int row_dim, int slot, std::byte* block) {
  store_row<float>(row, 0, row_dim, slot, block, [](float x) { return x; });
}

void store_latent_bf16(const float* row, int, int row_dim, int slot, std::byte* block) {
  store_row<std::uint16_t>(row, 0, row_dim, slot, block, [](float x) { return f32_to_bf16(x); });
}

void store_latent_int8(const float* row, int latent_dim, int row_dim, int slot, std::byte* block) {
  // The latent is normalised and the rotated key is not: each has its scale.
  const float latent_scale = scale_of(row, static_cast<std::size_t>(latent_dim));
  const float rotated_scale = scale_of(row + latent_dim, static_cast<std::size_t>(row_dim - latent_dim));
  auto* scales = reinterpret_cast<float*>(block + kPageTokens * static_cast<std::size_t>(row_dim));
  scales[slot] = rotated_scale;
  scales[kPageTokens + slot] = latent_scale;
  store_row<std::int8_t>(row, 0, latent_dim, slot, block, round_by(latent_scale));
  store_row<std::int8_t>(row, latent_dim, row_dim, slot, block, round_by(rotated_scale));
}

}  // namespace colonnade::engine
