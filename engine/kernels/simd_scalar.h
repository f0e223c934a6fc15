// Sixteen lanes without vector instructions: the specification of what the other instruction sets compute.
#pragma once

#include <cstddef>
#include <cstdint>

#define COLONNADE_LANES for (int lane = 0; lane < 16; ++lane)

namespace colonnade::engine::scalar {

struct Simd {
  struct F { float v[16]; };          // 16 floats
  struct I { std::uint32_t v[16]; };  // 16 ints of 32 bits; unsigned, so that they wrap
  struct Bytes { std::uint8_t v[64]; };  // 16 rows x 4 columns of int8 weights + 128
  struct Quad { std::int8_t v[4]; };     // 4 activations for every row

  // Register blocking: see strips_float.inl.h, strips_int8.inl.h and attention.inl.h.
  static constexpr int kFewTokens = 1, kFloatTokens = 1, kFloatStrips = 1, kFloatChains = 4;
  static constexpr int kFewInt8Tokens = 1, kInt8Tokens = 1, kInt8Strips = 1;
  static constexpr int kAttendSums = 1, kAttendQueries = 1;

  static F zero() { return F{}; }
  static F set(float x) { F r; COLONNADE_LANES r.v[lane] = x; return r; }
  static F load(const float* p) { F r; COLONNADE_LANES r.v[lane] = p[lane]; return r; }
  static void store(float* p, F a) { COLONNADE_LANES p[lane] = a.v[lane]; }
  /// The first n (0 … 16) lanes; the others are 0 and their memory is not touched.
  static F load_part(const float* p, std::size_t n) {
    F r{};
    for (std::size_t i = 0; i < n; ++i) r.v[i] = p[i];
    return r;
  }
  static void store_part(float* p, F a, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) p[i] = a.v[i];
  }

  static F add(F a, F b) { COLONNADE_LANES a.v[lane] += b.v[lane]; return a; }
  static F sub(F a, F b) { COLONNADE_LANES a.v[lane] -= b.v[lane]; return a; }
  static F mul(F a, F b) { COLONNADE_LANES a.v[lane] *= b.v[lane]; return a; }
  static F div(F a, F b) { COLONNADE_LANES a.v[lane] /= b.v[lane]; return a; }
  /// a * b + c, rounded once.
  static F fma(F a, F b, F c) {
    COLONNADE_LANES c.v[lane] = __builtin_fmaf(a.v[lane], b.v[lane], c.v[lane]);
    return c;
  }
  /// b where one of them is NaN, as the instructions do.
  static F max(F a, F b) { COLONNADE_LANES b.v[lane] = a.v[lane] > b.v[lane] ? a.v[lane] : b.v[lane]; return b; }
  static F min(F a, F b) { COLONNADE_LANES b.v[lane] = a.v[lane] < b.v[lane] ? a.v[lane] : b.v[lane]; return b; }
  static F abs(F a) { COLONNADE_LANES a.v[lane] = __builtin_fabsf(a.v[lane]); return a; }
  static F neg(F a) { COLONNADE_LANES a.v[lane] = -a.v[lane]; return a; }
  /// a in the lanes whose bit is set, b elsewhere.
  static F select(unsigned bits, F a, F b) {
    COLONNADE_LANES b.v[lane] = (bits >> lane & 1u) != 0 ? a.v[lane] : b.v[lane];
    return b;
  }

  /// Lane i with lane i + 8, then + 4, + 2, + 1.
  static float sum(F a) {
    for (int width = 8; width >= 1; width /= 2) {
      for (int lane = 0; lane < width; ++lane) a.v[lane] += a.v[lane + width];
    }
    return a.v[0];
  }
  static float largest(F a) {
    for (int width = 8; width >= 1; width /= 2) {
      for (int lane = 0; lane < width; ++lane) {
        a.v[lane] = a.v[lane] > a.v[lane + width] ? a.v[lane] : a.v[lane + width];
      }
    }
    return a.v[0];
  }

  static I zero_i() { return I{}; }
  static I set_i(std::int32_t x) { I r; COLONNADE_LANES r.v[lane] = static_cast<std::uint32_t>(x); return r; }
  static I add_i(I a, I b) { COLONNADE_LANES a.v[lane] += b.v[lane]; return a; }
  static I sub_i(I a, I b) { COLONNADE_LANES a.v[lane] -= b.v[lane]; return a; }
  template <int Bits>
  static I shift_left(I a) { COLONNADE_LANES a.v[lane] <<= Bits; return a; }
  template <int Bits>
  static I shift_right(I a) {  // keeps the sign
    COLONNADE_LANES a.v[lane] = static_cast<std::uint32_t>(static_cast<std::int32_t>(a.v[lane]) >> Bits);
    return a;
  }
  static std::int32_t sum_i(I a) {
    std::uint32_t total = 0;
    COLONNADE_LANES total += a.v[lane];
    return static_cast<std::int32_t>(total);
  }
  static I bits(F a) { I r; __builtin_memcpy(&r, &a, sizeof(r)); return r; }
  static F from_bits(I a) { F r; __builtin_memcpy(&r, &a, sizeof(r)); return r; }
  static F to_float(I a) {
    F r;
    COLONNADE_LANES r.v[lane] = static_cast<float>(static_cast<std::int32_t>(a.v[lane]));
    return r;
  }
  /// Rounds to even; for |a| < 2^22.
  static I to_int(F a) {
    const float magic = 12582912.0f;  // 1.5 * 2^23: the sum's low bits are the integer
    return sub_i(bits(add(a, set(magic))), bits(set(magic)));
  }
  /// The lanes as bytes; they are within int8.
  static void store_bytes(std::int8_t* p, I a) {
    COLONNADE_LANES p[lane] = static_cast<std::int8_t>(static_cast<std::int32_t>(a.v[lane]));
  }

  static F load_int8(const std::int8_t* p) {
    F r;
    COLONNADE_LANES r.v[lane] = static_cast<float>(p[lane]);
    return r;
  }
  static F load_bf16(const std::uint16_t* p) {
    I r;
    COLONNADE_LANES r.v[lane] = static_cast<std::uint32_t>(p[lane]) << 16;
    return from_bits(r);
  }
  /// 16 words of 32 bits: the low halves (odd = false) or the high halves as floats.
  template <bool Odd>
  static F load_bf16_pair(const std::byte* p) {
    I r;
    __builtin_memcpy(&r, p, sizeof(r));
    COLONNADE_LANES r.v[lane] = Odd ? r.v[lane] & 0xffff0000u : r.v[lane] << 16;
    return from_bits(r);
  }

  static Bytes load_bytes(const std::byte* p) { Bytes r; __builtin_memcpy(&r, p, sizeof(r)); return r; }
  static Quad load_quad(const std::int8_t* p) { Quad r; __builtin_memcpy(&r, p, sizeof(r)); return r; }
  /// acc + the exact dot product of each row's 4 bytes with the 4 activations.
  static I dot(I acc, const Bytes& w, Quad x) {
    COLONNADE_LANES {
      std::int32_t total = 0;
      for (int i = 0; i < 4; ++i) total += static_cast<std::int32_t>(w.v[4 * lane + i]) * x.v[i];
      acc.v[lane] += static_cast<std::uint32_t>(total);
    }
    return acc;
  }
};

}  // namespace colonnade::engine::scalar

#undef COLONNADE_LANES
