#include "engine/formats/int4_scale.h"

#include <algorithm>
#include <cmath>

#include "engine/formats/bf16.h"

namespace colonnade::engine {
namespace {

/// The sum of squares of what rounding loses. Zeros lose nothing.
float rounding_loss(const float* weights, std::size_t count, float scale) {
  const float inverse = 1.0f / scale;
  float loss = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float steps = std::min(std::max(std::nearbyintf(weights[i] * inverse), -8.0f), 7.0f);
    const float lost = weights[i] - steps * scale;
    loss += lost * lost;
  }
  return loss;
}

/// The scale of weights that are multiples of one by -8 … 7; 0 when there is none. `extreme` is the largest in size.
std::uint16_t exact_int4_scale(const float* weights, std::size_t count, float extreme) {
  for (const int steps : {-8, 7, 6, 5, 4, 3, 2, 1}) {
    const float scale = extreme / static_cast<float>(steps);
    const std::uint16_t bits = f32_to_bf16(scale);
    if (bf16_to_f32(bits) != scale || !std::isfinite(1.0f / scale)) continue;
    const auto is_multiple = [scale](float weight) {
      const float multiple = std::nearbyintf(weight / scale);
      return multiple >= -8.0f && multiple <= 7.0f && multiple * scale == weight;
    };
    if (std::all_of(weights, weights + count, is_multiple)) return bits;
  }
  return 0;
}

}  // namespace

std::uint16_t choose_int4_scale(const float* weights, std::size_t count) {
  float extreme = 0;  // the weight that is largest in size, with its sign
  for (std::size_t i = 0; i < count; ++i)
    if (std::fabs(weights[i]) > std::fabs(extreme)) extreme = weights[i];
  if (const std::uint16_t exact = exact_int4_scale(weights, count, extreme); exact != 0) return exact;
  const float to_eight = extreme / -8.0f;
  const float to_seven = extreme / 7.0f;
  std::uint16_t best = 0;
  float least = 0;
  bool found = false;
  for (const float start : {to_eight, to_seven}) {
    for (const float factor : {1.0f, 0.94f, 0.88f, 0.8f, 1.06f}) {
      const std::uint16_t bits = f32_to_bf16(start * factor);
      const float scale = bf16_to_f32(bits);
      if (!std::isfinite(scale) || !std::isfinite(1.0f / scale)) continue;
      const float loss = rounding_loss(weights, count, scale);
      if (found && !(loss < least)) continue;
      best = bits;
      least = loss;
      found = true;
    }
  }
  return best;
}

int round_to_int4(float weight, float scale) {
  if (scale == 0) return 0;
  return static_cast<int>(std::min(std::max(std::nearbyint(weight * (1.0f / scale)), -8.0f), 7.0f));
}

}  // namespace colonnade::engine
