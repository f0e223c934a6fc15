// The scale of a group of 4-bit weights.
#pragma once

#include <cstddef>
#include <cstdint>

namespace colonnade::engine {

/// A bf16 scale, possibly negative, with a small squared error of the weights that are not zero, each rounded to
/// scale * (-8 … 7). Weights that are such multiples already keep their values; for others it is the best of a few around
/// "the largest weight becomes -8" and "the largest becomes ±7". 0 where all weights are zero or too small for a scale.
std::uint16_t choose_int4_scale(const float* weights, std::size_t count);

/// weight / scale rounded to even, within -8 … 7; 0 where the scale is 0.
int round_to_int4(float weight, float scale);

}  // namespace colonnade::engine
