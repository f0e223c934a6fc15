// Sixteen lanes without vector instructions: the specification of what the other instruction sets compute.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/formats/permute_layout.h"
#include "engine/kernels/nibble.h"

#define COLONNADE_LANES for (int lane = 0; lane < 16; ++lane)

namespace colonnade::engine::scalar {

struct Simd {
  struct F { float v[16]; };          // 16 floats
  struct I { std::uint32_t v[16]; };  // 16 ints of 32 bits; unsigned, so that they wrap
  struct Eight { float v[8]; };       // a table
  struct Raw { std::uint8_t v[64]; };    // a quad: 16 rows x 4 columns
  struct Bytes { std::uint8_t v[64]; };  // 16 rows x 4 columns of int8 weights + 128
  struct Quad { std::int8_t v[4]; };     // 4 activations for every row

  // Register blocking: see strips_float.inl.h, strips_int8.inl.h, attention.inl.h, product.inl.h and vector_math.inl.h.
  static constexpr int kFewTokens = 1, kFloatTokens = 1, kFloatStrips = 1, kFloatChains = 4;
  static constexpr int kFewInt8Tokens = 1, kInt8Tokens = 1, kInt8Strips = 1;
  static constexpr int kFewWideTokens = 1, kPairTokens = 1, kGapTokens = 1;
  static constexpr int kAttendSums = 1, kAttendQueries = 1;
  static constexpr int kProductRows = 1, kProductVectors = 1;
  static constexpr int kMathVectors = 1;

  static void prefetch_for_writing(const float* p) { __builtin_prefetch(p, 1); }

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

  static Eight load_eight(const float* p) { Eight r; __builtin_memcpy(&r, p, sizeof(r)); return r; }
  /// Of each lane the entry that the lowest three bits of its index name.
  static F pick(const Eight& table, const I& index) {
    F r;
    COLONNADE_LANES r.v[lane] = table.v[index.v[lane] & 7];
    return r;
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
  static I load_i(const std::int32_t* p) { I r; __builtin_memcpy(&r, p, sizeof(r)); return r; }
  static void store_i(std::int32_t* p, I a) { __builtin_memcpy(p, &a, sizeof(a)); }
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
  /// a * 2^n, rounded once; n: a whole number within +-160, as a float and as an integer. In two factors, because 2^n itself
  /// may be subnormal or too large while the result is neither.
  static F times_power_of_two(F a, F, I n) {
    const I half = shift_right<1>(n), rest = sub_i(n, half), bias = set_i(127);
    return mul(mul(a, from_bits(shift_left<23>(add_i(half, bias)))), from_bits(shift_left<23>(add_i(rest, bias))));
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
  /// Rounded to nearest even; NaN stays NaN.
  static void store_bf16(std::uint16_t* p, F a) {
    const I x = bits(a);
    COLONNADE_LANES {
      const std::uint32_t upper = x.v[lane] >> 16;
      p[lane] = static_cast<std::uint16_t>((x.v[lane] & 0x7fffffffu) > 0x7f800000u ? upper | 0x40u : (x.v[lane] + 0x7fffu + (upper & 1u)) >> 16);
    }
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

  static void store_offset_bytes(std::uint8_t* p, I a) {
    COLONNADE_LANES p[lane] = static_cast<std::uint8_t>(a.v[lane] + 128);
  }

  static Raw raw_load(const std::byte* p) { Raw r; __builtin_memcpy(&r, p, sizeof(r)); return r; }
  /// 16 times the high or the low nibble of each byte.
  static Raw raw_high(Raw a) { for (auto& byte : a.v) byte &= 0xf0; return a; }
  static Raw raw_low(Raw a) { for (auto& byte : a.v) byte = static_cast<std::uint8_t>(byte << 4); return a; }
  /// The next byte at p where a mask bit is set, or 16 times one of its nibbles; 128 elsewhere. May read 64 bytes.
  template <Nibble N>
  static Raw raw_expand(std::uint64_t mask, const std::byte* p) {
    Raw a = raw_load(p), r;
    if (N == Nibble::kHigh) a = raw_high(a);
    if (N == Nibble::kLow) a = raw_low(a);
    int next = 0;
    for (int i = 0; i < 64; ++i) r.v[i] = (mask >> i & 1u) != 0 ? a.v[next++] : 128;
    return r;
  }
  static void raw_store(std::byte* p, const Raw& a) { __builtin_memcpy(p, &a, sizeof(a)); }
  /// Two columns of bf16 with a mask of 16 bits each: the next value at p where a bit is set, 0 elsewhere. May read
  /// 64 bytes at p.
  static void expand_bf16_pair(const std::byte* mask_at, const std::byte* p, F& even, F& odd) {
    std::uint32_t mask;
    __builtin_memcpy(&mask, mask_at, sizeof(mask));
    I columns[2] = {};
    for (int i = 0; i < 32; ++i) {
      if ((mask >> i & 1u) == 0) continue;
      std::uint16_t bits;
      __builtin_memcpy(&bits, p, sizeof(bits));
      columns[i / 16].v[i % 16] = static_cast<std::uint32_t>(bits) << 16;
      p += sizeof(bits);
    }
    even = from_bits(columns[0]);
    odd = from_bits(columns[1]);
  }

  /// A quad as dot() takes it.
  static Bytes widen_bytes(const Raw& a) { Bytes r; __builtin_memcpy(&r, &a, sizeof(r)); return r; }
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

  struct Indices { std::uint8_t v[64]; };  // of an index-permute step, see formats/permute_layout.h
  struct Values { std::int8_t v[64]; };
  template <int Window>
  static Indices load_indices(const std::byte* p) {
    Indices r;
    for (int i = 0; i < 64; ++i) r.v[i] = static_cast<std::uint8_t>(std::to_integer<unsigned>(p[i]) & (Window - 1u));
    return r;
  }
  static Values load_values(const std::byte* p) { Values r; __builtin_memcpy(&r, p, sizeof(r)); return r; }
  /// 16 times the nibbles of an even or an odd step.
  static Values load_int4_values(const std::byte* p, bool odd) {
    Values r;
    for (int i = 0; i < 64; ++i) {
      const auto byte = std::to_integer<unsigned>(p[i]);
      r.v[i] = static_cast<std::int8_t>(odd ? byte << 4 & 0xf0u : byte & 0xf0u);
    }
    return r;
  }
  /// The column, modulo 256, that each lane has come to: in all of its four bytes.
  struct Positions { std::uint8_t v[64]; };
  static Positions start_positions(const std::uint8_t* columns) {
    Positions r;
    for (int i = 0; i < 64; ++i) r.v[i] = columns[i / 4];
    return r;
  }
  /// A step of gap-int4: one after another, a lane's bytes move its position on by their low nibble; the high nibble times
  /// 16 is the value there. Indices count from column `base`, modulo the window.
  template <int Window>
  static void step_by_gaps(const std::byte* p, unsigned base, Positions& at, Indices& index, Values& values) {
    for (int lane = 0; lane < 16; ++lane) {
      unsigned column = at.v[4 * lane];
      for (int i = 4 * lane; i < 4 * lane + 4; ++i) {
        const auto byte = std::to_integer<unsigned>(p[i]);
        column += byte & 15u;
        index.v[i] = static_cast<std::uint8_t>((column - base) & (Window - 1u));
        values.v[i] = static_cast<std::int8_t>(byte & 0xf0u);
      }
      for (int i = 4 * lane; i < 4 * lane + 4; ++i) at.v[i] = static_cast<std::uint8_t>(column);
    }
  }
  /// acc + the exact dot product of each lane's 4 values with the bytes of x that its indices name.
  template <int Window>
  static I dot_picked(I acc, const Indices& at, const Values& w, const std::uint8_t* x) {
    for (int i = 0; i < 64; ++i) acc.v[i / 4] += static_cast<std::uint32_t>(w.v[i] * static_cast<std::int32_t>(x[at.v[i]]));
    return acc;
  }
  struct QuadIndices { std::uint8_t v[16]; };  // of a quad step: which quad of the group each lane has
  static QuadIndices load_quad_indices(const std::byte* p) {
    QuadIndices r;
    for (int lane = 0; lane < 16; ++lane) r.v[lane] = static_cast<std::uint8_t>(std::to_integer<unsigned>(p[lane]) & (kWideQuads - 1));
    return r;
  }
  /// acc + the exact dot product of each lane's 4 values with its quad of a group's bytes.
  static I dot_quads(I acc, const QuadIndices& at, const Values& w, const std::uint8_t* x) {
    for (int i = 0; i < 64; ++i) acc.v[i / 4] += static_cast<std::uint32_t>(w.v[i] * static_cast<std::int32_t>(x[4 * at.v[i / 4] + i % 4]));
    return acc;
  }
  static I add_128_times(I acc, const Values& w) {
    for (int i = 0; i < 64; ++i) acc.v[i / 4] += static_cast<std::uint32_t>(w.v[i] * 128);
    return acc;
  }
  /// a in the lanes whose bit is set, 0 elsewhere.
  static I keep_lanes(unsigned bits, I a) {
    COLONNADE_LANES a.v[lane] = (bits >> lane & 1u) != 0 ? a.v[lane] : 0;
    return a;
  }
  /// Lane l becomes lane from[l] of a, or 0 where that is no lane.
  static I lanes_from(const std::uint8_t* from, I a) {
    I r;
    COLONNADE_LANES r.v[lane] = from[lane] < 16 ? a.v[from[lane]] : 0;
    return r;
  }
};

}  // namespace colonnade::engine::scalar

#undef COLONNADE_LANES
