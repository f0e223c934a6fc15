#include "engine/formats/permute_rows.h"

#include <algorithm>
#include <cmath>

#include "engine/formats/bf16.h"
#include "engine/formats/int4_scale.h"
#include "engine/formats/int8_row.h"

namespace colonnade::engine {
namespace {

/// Rounded up, so that the largest weight is not clipped.
std::uint16_t int8_scale(const float* weights, std::size_t count) {
  const float exact = int8_row_scale(weights, count);
  std::uint16_t bits = f32_to_bf16(exact);
  if (bf16_to_f32(bits) < exact) ++bits;
  return std::isfinite(bf16_to_f32(bits)) ? bits : f32_to_bf16(0);
}

}  // namespace

bool lanes_are_valid(const PermuteGroup& group) {
  return std::all_of(std::begin(group.scales), std::end(group.scales), [](std::uint16_t scale) { return std::isfinite(bf16_to_f32(scale)); }) &&
         std::all_of(std::begin(group.donor), std::end(group.donor),
                     [](std::uint8_t donor) { return donor < kStripRows || donor == kNoDonor; });
}

bool bases_are_valid(const std::byte* bases, std::size_t n_steps, std::size_t window) {
  return std::all_of(bases, bases + n_steps, [&](std::byte base) {
    return std::to_integer<std::size_t>(base) * kPermuteBaseUnit + window <= kWideGroup;
  });
}

PermuteRows quantize_group(const float* weights, std::size_t stride, int n_rows, std::size_t g, std::size_t cols, bool int4,
                           PermuteGroup& group) {
  PermuteRows rows;
  group = {};
  std::fill(std::begin(group.donor), std::end(group.donor), kNoDonor);
  const std::size_t first = g * kWideGroup, count = std::min(kWideGroup, cols - first);
  for (std::size_t r = 0; r < static_cast<std::size_t>(n_rows); ++r) {
    const float* from = weights + r * stride + first;
    group.scales[r] = int4 ? choose_int4_scale(from, count) : int8_scale(from, count);
    const float scale = bf16_to_f32(group.scales[r]);
    for (std::size_t c = 0; c < count; ++c) {
      const int steps = int4 ? round_to_int4(from[c], scale) : round_to_int8(from[c], scale);
      if (steps != 0) rows[r].push_back({static_cast<std::uint16_t>(c), static_cast<std::int8_t>(steps)});
    }
  }
  return rows;
}

}  // namespace colonnade::engine
