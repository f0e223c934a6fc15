// Symmetric int8 with one scale a row: weight = steps * scale, |steps| <= 127.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "engine/formats/strip_layout.h"

namespace colonnade::engine {

/// 0 for a row of zeros.
inline float int8_row_scale(const float* row, std::size_t cols) {
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
