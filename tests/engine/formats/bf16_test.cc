#include "engine/formats/bf16.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace colonnade::engine;

namespace {

/// Nearest bf16 by search over the neighbours, in double arithmetic; ties go to the even one.
std::uint16_t nearest(float value) {
  const auto truncated = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
  const auto above = static_cast<std::uint16_t>(truncated + 1);  // away from zero, for either sign
  const double low = std::fabs(static_cast<double>(value) - static_cast<double>(bf16_to_f32(truncated)));
  const double high = std::fabs(static_cast<double>(bf16_to_f32(above)) - static_cast<double>(value));
  if (low != high) return low < high ? truncated : above;
  return truncated % 2 == 0 ? truncated : above;
}

}  // namespace

TEST_CASE("every bf16 value survives the way through f32") {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const float value = bf16_to_f32(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) {
      CHECK(std::isnan(bf16_to_f32(f32_to_bf16(value))));
    } else if (f32_to_bf16(value) != bits) {
      FAIL("bits " << bits);
    }
  }
}

TEST_CASE("rounding to bf16 is to the nearest, ties to even") {
  std::uint32_t state = 1;
  for (int i = 0; i < 200000; ++i) {
    state = state * 1664525u + 1013904223u;
    std::uint32_t bits = state;
    if (i % 4 == 0) bits = (bits & 0xffff0000u) | 0x8000u;  // ties
    const float value = std::bit_cast<float>(bits);
    if (!std::isfinite(value) || std::fabs(value) > 3.3e38f) continue;
    if (f32_to_bf16(value) != nearest(value)) FAIL("value " << value << " bits " << bits);
  }
}

TEST_CASE("a NaN whose payload lies in the dropped bits stays a NaN") {
  CHECK(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
  CHECK(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0xffffffffu)))));
  CHECK(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::max())) == std::numeric_limits<float>::infinity());
}
