// The 16-lane vector in plain C++: what every instruction set must compute.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace colonnade::engine::scalar {

struct Simd {
  static constexpr int kTokenBlock = 1;   // tokens that share a loaded weight
  static constexpr int kStripBlock = 1;   // int8 strips that share a loaded activation
  struct F { float v[16]; };
  struct I { std::int32_t v[16]; };

  template <typename Op>
  static F map(Op op) {
    F out;
    for (int i = 0; i < 16; ++i) out.v[i] = op(i);
    return out;
  }
  static F set(float x) { return map([&](int) { return x; }); }
  static F zero() { return set(0.0f); }
  static F load(const float* p) { return map([&](int i) { return p[i]; }); }
  static F load_part(const float* p, std::size_t n) {
    return map([&](int i) { return static_cast<std::size_t>(i) < n ? p[i] : 0.0f; });
  }
  static void store(float* p, F a) { std::memcpy(p, a.v, sizeof a.v); }
  static void store_part(float* p, F a, std::size_t n) { std::memcpy(p, a.v, n * sizeof(float)); }
  static F add(F a, F b) { return map([&](int i) { return a.v[i] + b.v[i]; }); }
  static F sub(F a, F b) { return map([&](int i) { return a.v[i] - b.v[i]; }); }
  static F mul(F a, F b) { return map([&](int i) { return a.v[i] * b.v[i]; }); }
  static F div(F a, F b) { return map([&](int i) { return a.v[i] / b.v[i]; }); }
  static F max(F a, F b) { return map([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
  static F min(F a, F b) { return map([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }
  static F abs(F a) { return map([&](int i) { return std::fabs(a.v[i]); }); }
  static F fma(F a, F b, F c) { return map([&](int i) { return std::fma(a.v[i], b.v[i], c.v[i]); }); }
  /// value where x >= bound, else 0
  static F keep_from(F value, F x, float bound) { return map([&](int i) { return x.v[i] >= bound ? value.v[i] : 0.0f; }); }
  static I round(F a) {
    I out;
    for (int i = 0; i < 16; ++i) out.v[i] = static_cast<std::int32_t>(std::nearbyint(a.v[i]));
    return out;
  }
  static F to_float(I a) { return map([&](int i) { return static_cast<float>(a.v[i]); }); }
  /// 2 to the power of n, -126 <= n <= 127
  static F exp2(I n) { return map([&](int i) { return std::bit_cast<float>(static_cast<std::uint32_t>(n.v[i] + 127) << 23); }); }
  static I set_int(std::int32_t x) {
    I out;
    for (std::int32_t& v : out.v) v = x;
    return out;
  }
  static I add_int(I a, I b) {
    for (int i = 0; i < 16; ++i) a.v[i] += b.v[i];
    return a;
  }
  static void store_int8(std::int8_t* p, I a) {
    for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(a.v[i]);
  }
  static std::int32_t sum(I a) {
    std::int32_t total = 0;
    for (const std::int32_t v : a.v) total += v;
    return total;
  }
  /// Adds lane i and i + 8, then i + 4, i + 2, i + 1.
  static float sum(F a) {
    for (int width = 8; width > 0; width /= 2)
      for (int i = 0; i < width; ++i) a.v[i] += a.v[i + width];
    return a.v[0];
  }
  static float max_lane(F a) {
    float m = a.v[0];
    for (const float v : a.v) m = v > m ? v : m;
    return m;
  }
  static F bf16_low(const std::byte* p) { return words(p, [](std::uint32_t w) { return w << 16; }); }
  static F bf16_high(const std::byte* p) { return words(p, [](std::uint32_t w) { return w & 0xffff0000u; }); }
  static F load_bf16(const std::byte* p) {
    std::uint16_t bits[16];
    std::memcpy(bits, p, sizeof bits);
    return map([&](int i) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits[i]) << 16); });
  }
  /// acc + four products a lane: weights are 16 × 4 unsigned bytes, activations 4 signed bytes for all lanes.
  static I dot4(I acc, const std::byte* weights, const std::int8_t* activations) {
    for (int i = 0; i < 16; ++i)
      for (int k = 0; k < 4; ++k) acc.v[i] += static_cast<std::int32_t>(weights[4 * i + k]) * activations[k];
    return acc;
  }

 private:
  template <typename Op>
  static F words(const std::byte* p, Op op) {
    std::uint32_t bits[16];
    std::memcpy(bits, p, sizeof bits);
    return map([&](int i) { return std::bit_cast<float>(op(bits[i])); });
  }
};

}  // namespace colonnade::engine::scalar
