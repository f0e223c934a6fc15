// Eight-bit floating point numbers to binary32, exact (OCP 8-bit Floating Point Specification 1.0 and, for E8M0, Microscaling
// Formats 1.0).
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "shard/half.h"

namespace colonnade::shard {

/// 1 sign, 4 exponent, 3 mantissa bits; no infinities, one NaN of each sign.
inline float e4m3_to_f32(std::uint8_t bits) {
  const unsigned exponent = bits >> 3 & 15u, mantissa = bits & 7u;
  float value = 0;
  if (exponent == 15 && mantissa == 7) value = std::numeric_limits<float>::quiet_NaN();
  else if (exponent == 0) value = static_cast<float>(mantissa) * 0x1p-9f;
  else value = std::bit_cast<float>((exponent + 120u) << 23 | mantissa << 20);
  return (bits & 0x80u) != 0 ? -value : value;
}

/// 1 sign, 5 exponent, 2 mantissa bits: the upper half of a binary16.
inline float e5m2_to_f32(std::uint8_t bits) { return f16_to_f32(static_cast<std::uint16_t>(bits << 8)); }

/// A power of two from 2^-127 to 2^127; 255 is NaN.
inline float e8m0_to_f32(std::uint8_t bits) {
  if (bits == 255) return std::numeric_limits<float>::quiet_NaN();
  return bits == 0 ? 0x1p-127f : std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 23);
}

/// The sixteen values of E2M1, by its four bits.
inline constexpr std::array<float, 16> kE2m1{0.f, .5f, 1.f, 1.5f, 2.f, 3.f, 4.f, 6.f, -0.f, -.5f, -1.f, -1.5f, -2.f, -3.f, -4.f, -6.f};

}  // namespace colonnade::shard
