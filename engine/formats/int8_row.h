// Symmetric int8 with one scale a row: weight = steps * scale, |steps| <= 127.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "engine/formats/strip_layout.h"

namespace colonnade::engine {

/// A power of two of which all weights are multiples by at most 127: the scale of a row that was rounded before. 0 when
/// there is none. Rows that were not are found out after a few weights.
inline float exact_int8_scale(const float* row, std::size_t cols) {
  int lowest_bit = 255, highest_bit = -255;
  for (std::size_t col = 0; col < cols; ++col) {
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(row[col]) & 0x7fffffffu;
    if (magnitude == 0) continue;
    const int exponent = static_cast<int>(magnitude >> 23);
    if (exponent == 0 || exponent == 255) return 0;
    lowest_bit = std::min(lowest_bit, exponent - 150 + std::countr_zero(magnitude | 0x800000u));
    highest_bit = std::max(highest_bit, exponent - 127);
    if (highest_bit - lowest_bit > 6) return 0;
  }
  return highest_bit < -126 ? 0.0f : std::ldexp(1.0f, lowest_bit);
}

/// 0 for a row of zeros. A row of multiples of one scale keeps its values.
inline float int8_row_scale(const float* row, std::size_t cols) {
  if (const float exact = exact_int8_scale(row, cols); exact != 0) return exact;
  float largest = 0;
  for (std::size_t col = 0; col < cols; ++col) largest = std::max(largest, std::fabs(row[col]));
  return largest / static_cast<float>(kInt8Largest);
}

/// Rounds to even; the clamp is for scales that are themselves rounded (subnormal rows).
inline int round_to_int8(float weight, float scale) {
  if (scale == 0) return 0;
  const float limit = static_cast<float>(kInt8Largest);
  return static_cast<int>(std::min(std::max(-limit, std::nearbyint(weight / scale)), limit));
}

}  // namespace colonnade::engine
