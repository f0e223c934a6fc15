#include "engine/kernels/store_kv.h"

#include "engine/formats/bf16.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {
namespace {

template <class Element, class Convert>
void store(const float* key, const float* value, int head_dim, int slot, std::byte* block, const Convert& convert) {
  const auto dim = static_cast<std::size_t>(head_dim);
  const auto position = static_cast<std::size_t>(slot);
  const std::size_t row = (dim + 15) / 16 * 16;
  auto* elements = reinterpret_cast<Element*>(block);
  Element* keys = elements + position / 16 * dim * 16 + position % 16;
  Element* values = elements + kPageTokens * dim + position * row;
  for (std::size_t d = 0; d < dim; ++d) keys[d * 16] = convert(key[d]);
  for (std::size_t d = 0; d < dim; ++d) values[d] = convert(value[d]);
  for (std::size_t d = dim; d < row; ++d) values[d] = convert(0.0f);
}

}  // namespace

void store_kv_f32(const float* key, const float* value, int head_dim, int slot, std::byte* block) {
  store<float>(key, value, head_dim, slot, block, [](float x) { return x; });
}

void store_kv_bf16(const float* key, const float* value, int head_dim, int slot, std::byte* block) {
  store<std::uint16_t>(key, value, head_dim, slot, block, [](float x) { return f32_to_bf16(x); });
}

}  // namespace colonnade::engine
