// Sixteen lanes in two AVX2 registers. Needs AVX2 and FMA. See simd_scalar.h for what each function means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "engine/kernels/expand_eight.inl.h"

#define COLONNADE_OP [[gnu::always_inline]] static inline

namespace colonnade::engine::avx2 {

struct Simd {
  struct F { __m256 lo, hi; };
  struct I { __m256i lo, hi; };
  using Eight = __m256;
  struct Raw { __m256i lo, hi; };
  /// Bytes widened to 16 bits, even and odd columns apart: the 8-bit multiply-add of AVX2 saturates.
  struct Bytes { __m256i lo_even, lo_odd, hi_even, hi_odd; };
  struct Quad { __m256i even, odd; };

  // 16 registers: 12 accumulators (two registers each: 3 tokens x 2 chains). int8: 8 while a group lasts.
  static constexpr int kFewTokens = 1, kFloatTokens = 3, kFloatStrips = 1, kFloatChains = 2;
  static constexpr int kFewInt8Tokens = 4, kInt8Tokens = 4, kInt8Strips = 1;
  static constexpr int kFewWideTokens = 1, kPairTokens = 2, kGapTokens = 2;
  // Attention: 6 sums in 12 registers, of up to 6 query heads: 8 loads feed 12 multiplications.
  static constexpr int kAttendSums = 6, kAttendQueries = 6;
  // Products: 6 rows x 1 vector in 12 registers, 2 for the other factor.
  static constexpr int kProductRows = 6, kProductVectors = 1;
  // Exponentials computed at once: 2 hide most of what each step waits for.
  static constexpr int kMathVectors = 2;

  /// All bits set in the first n of 8 lanes.
  COLONNADE_OP __m256i first(std::size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
  }
  COLONNADE_OP std::size_t low_count(std::size_t n) { return n < 8 ? n : 8; }
  COLONNADE_OP std::size_t high_count(std::size_t n) { return n < 8 ? 0 : n - 8; }

  /// The compilers make it a prefetch for reading unless they are told that the processor has this one; where it has not, it does nothing.
  COLONNADE_OP void prefetch_for_writing(const float* p) { asm volatile("prefetchw %0" : : "m"(*p)); }

  COLONNADE_OP F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  COLONNADE_OP F set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  COLONNADE_OP F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  COLONNADE_OP void store(float* p, F a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
  }
  COLONNADE_OP F load_part(const float* p, std::size_t n) {
    return {_mm256_maskload_ps(p, first(low_count(n))), _mm256_maskload_ps(p + 8, first(high_count(n)))};
  }
  COLONNADE_OP void store_part(float* p, F a, std::size_t n) {
    _mm256_maskstore_ps(p, first(low_count(n)), a.lo);
    _mm256_maskstore_ps(p + 8, first(high_count(n)), a.hi);
  }

  COLONNADE_OP F add(F a, F b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
  COLONNADE_OP F sub(F a, F b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
  COLONNADE_OP F mul(F a, F b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
  COLONNADE_OP F div(F a, F b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
  COLONNADE_OP F fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
  }
  COLONNADE_OP F max(F a, F b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
  COLONNADE_OP F min(F a, F b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
  COLONNADE_OP F abs(F a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
  }
  COLONNADE_OP F neg(F a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_xor_ps(sign, a.lo), _mm256_xor_ps(sign, a.hi)};
  }
  COLONNADE_OP __m256 lanes_of(unsigned lanes) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i set_bits = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(lanes & 0xffu)), bit);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(set_bits, bit));
  }
  COLONNADE_OP F select(unsigned lanes, F a, F b) {
    return {_mm256_blendv_ps(b.lo, a.lo, lanes_of(lanes)), _mm256_blendv_ps(b.hi, a.hi, lanes_of(lanes >> 8))};
  }

  COLONNADE_OP Eight load_eight(const float* p) { return _mm256_loadu_ps(p); }
  COLONNADE_OP F pick(Eight table, I index) {
    return {_mm256_permutevar8x32_ps(table, index.lo), _mm256_permutevar8x32_ps(table, index.hi)};
  }

  COLONNADE_OP float sum(F a) {
    const __m256 eight = _mm256_add_ps(a.lo, a.hi);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  COLONNADE_OP float largest(F a) {
    const __m256 eight = _mm256_max_ps(a.lo, a.hi);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  COLONNADE_OP I zero_i() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  COLONNADE_OP I set_i(std::int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  COLONNADE_OP I add_i(I a, I b) { return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)}; }
  COLONNADE_OP I sub_i(I a, I b) { return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)}; }
  template <int Bits>
  COLONNADE_OP I shift_left(I a) { return {_mm256_slli_epi32(a.lo, Bits), _mm256_slli_epi32(a.hi, Bits)}; }
  template <int Bits>
  COLONNADE_OP I shift_right(I a) { return {_mm256_srai_epi32(a.lo, Bits), _mm256_srai_epi32(a.hi, Bits)}; }
  COLONNADE_OP std::int32_t sum_i(I a) {
    const __m256i eight = _mm256_add_epi32(a.lo, a.hi);
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
  COLONNADE_OP I bits(F a) { return {_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)}; }
  COLONNADE_OP F from_bits(I a) { return {_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)}; }
  COLONNADE_OP F to_float(I a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
  COLONNADE_OP I to_int(F a) { return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)}; }
  COLONNADE_OP F times_power_of_two(F a, F, I n) {
    const I half = shift_right<1>(n), rest = sub_i(n, half), bias = set_i(127);
    return mul(mul(a, from_bits(shift_left<23>(add_i(half, bias)))), from_bits(shift_left<23>(add_i(rest, bias))));
  }
  COLONNADE_OP void store_bytes(std::int8_t* p, I a) {
    // Packing works within 128-bit halves: 0-3 8-11 4-7 12-15, put right by the permutation.
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a.lo, a.hi), 0xd8);
    const __m128i packed = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
  }

  COLONNADE_OP __m256i load_words(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  COLONNADE_OP __m256 widen(const std::uint16_t* p) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }
  COLONNADE_OP __m256 from_bytes(const std::int8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  COLONNADE_OP F load_int8(const std::int8_t* p) { return {from_bytes(p), from_bytes(p + 8)}; }
  COLONNADE_OP F load_bf16(const std::uint16_t* p) { return {widen(p), widen(p + 8)}; }
  template <bool Odd>
  COLONNADE_OP F load_bf16_pair(const std::byte* p) {
    const __m256i lo = load_words(p), hi = load_words(p + 32);
    const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    if (Odd) return from_bits({_mm256_and_si256(lo, mask), _mm256_and_si256(hi, mask)});
    return from_bits({_mm256_slli_epi32(lo, 16), _mm256_slli_epi32(hi, 16)});
  }

  COLONNADE_OP void store_offset_bytes(std::uint8_t* p, I a) {
    store_bytes(reinterpret_cast<std::int8_t*>(p), a);
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(0x80))));
  }

  COLONNADE_OP __m256i bf16_words(__m256 a) {
    const __m256i bits = _mm256_castps_si256(a), upper = _mm256_srli_epi32(bits, 16);
    const __m256i bias = _mm256_add_epi32(_mm256_and_si256(upper, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, bias), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, _mm256_or_si256(upper, _mm256_set1_epi32(0x40)), nan);
  }
  COLONNADE_OP void store_bf16(std::uint16_t* p, F a) {
    const __m256i words = _mm256_packus_epi32(bf16_words(a.lo), bf16_words(a.hi));  // within 128-bit halves
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(words, 0xd8));
  }
  COLONNADE_OP I load_i(const std::int32_t* p) { return {load_words(p), load_words(p + 8)}; }
  COLONNADE_OP void store_i(std::int32_t* p, I a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.hi);
  }
  COLONNADE_OP Raw raw_load(const std::byte* p) { return {load_words(p), load_words(p + 32)}; }
  COLONNADE_OP Raw raw_high(Raw a) {
    const __m256i mask = _mm256_set1_epi8(static_cast<char>(0xf0));
    return {_mm256_and_si256(a.lo, mask), _mm256_and_si256(a.hi, mask)};
  }
  COLONNADE_OP Raw raw_low(Raw a) { return raw_high({_mm256_slli_epi16(a.lo, 4), _mm256_slli_epi16(a.hi, 4)}); }
  template <Nibble N>
  COLONNADE_OP Raw raw_expand(std::uint64_t mask, const std::byte* p) {
    const __m256i lo = expand_half<N>(static_cast<std::uint32_t>(mask), p);
    return {lo, expand_half<N>(static_cast<std::uint32_t>(mask >> 32), p)};
  }
  COLONNADE_OP void raw_store(std::byte* p, Raw a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), a.hi);
  }
  COLONNADE_OP F expand_bf16(unsigned mask, const std::byte* p) {
    const __m256i lo = _mm256_cvtepu16_epi32(expand_eight_words(mask & 0xff, p));
    return from_bits({_mm256_slli_epi32(lo, 16), _mm256_slli_epi32(_mm256_cvtepu16_epi32(expand_eight_words(mask >> 8, p)), 16)});
  }
  COLONNADE_OP void expand_bf16_pair(const std::byte* mask_at, const std::byte* p, F& even, F& odd) {
    std::uint32_t mask;
    __builtin_memcpy(&mask, mask_at, sizeof(mask));
    even = expand_bf16(mask & 0xffffu, p);
    odd = expand_bf16(mask >> 16, p + 2 * __builtin_popcount(mask & 0xffffu));
  }

  COLONNADE_OP Bytes widen_bytes(Raw a) {
    const __m256i mask = _mm256_set1_epi16(0xff);
    return {_mm256_and_si256(a.lo, mask), _mm256_srli_epi16(a.lo, 8), _mm256_and_si256(a.hi, mask),
            _mm256_srli_epi16(a.hi, 8)};
  }
  COLONNADE_OP Bytes load_bytes(const std::byte* p) { return widen_bytes(raw_load(p)); }
  COLONNADE_OP Quad load_quad(const std::int8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, sizeof(four));
    const __m256i x = _mm256_set1_epi32(four);
    return {_mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8), _mm256_srai_epi16(x, 8)};
  }
  COLONNADE_OP I dot(I acc, Bytes w, Quad x) {
    const __m256i lo = _mm256_add_epi32(_mm256_madd_epi16(w.lo_even, x.even), _mm256_madd_epi16(w.lo_odd, x.odd));
    const __m256i hi = _mm256_add_epi32(_mm256_madd_epi16(w.hi_even, x.even), _mm256_madd_epi16(w.hi_odd, x.odd));
    return {_mm256_add_epi32(acc.lo, lo), _mm256_add_epi32(acc.hi, hi)};
  }

  struct Indices { __m256i lo, hi; };
  /// Signed bytes widened to 16 bits, even and odd entries apart.
  struct Values { __m256i lo_even, lo_odd, hi_even, hi_odd; };
  template <int Window>
  COLONNADE_OP Indices load_indices(const std::byte* p) {
    const __m256i mask = _mm256_set1_epi8(static_cast<char>(Window - 1));
    return {_mm256_and_si256(load_words(p), mask), _mm256_and_si256(load_words(p + 32), mask)};
  }
  COLONNADE_OP Values widen_values(Raw a) {
    return {_mm256_srai_epi16(_mm256_slli_epi16(a.lo, 8), 8), _mm256_srai_epi16(a.lo, 8),
            _mm256_srai_epi16(_mm256_slli_epi16(a.hi, 8), 8), _mm256_srai_epi16(a.hi, 8)};
  }
  COLONNADE_OP Values load_values(const std::byte* p) { return widen_values(raw_load(p)); }
  COLONNADE_OP Values load_int4_values(const std::byte* p, bool odd) {
    return widen_values(odd ? raw_low(raw_load(p)) : raw_high(raw_load(p)));
  }
  using Positions = Indices;
  /// Byte `Byte` of each lane in all of its four bytes.
  template <int Byte>
  COLONNADE_OP __m256i spread(__m256i a) {
    const __m128i four = _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12), _mm_set1_epi8(Byte));
    return _mm256_shuffle_epi8(a, _mm256_broadcastsi128_si256(four));
  }
  COLONNADE_OP Positions start_positions(const std::uint8_t* columns) {
    const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(columns));
    return {spread<0>(_mm256_cvtepu8_epi32(all)), spread<0>(_mm256_cvtepu8_epi32(_mm_srli_si128(all, 8)))};
  }
  /// Half of the lanes; the position moves on.
  COLONNADE_OP __m256i indices_by_gaps(__m256i bytes, __m256i base, __m256i& at) {
    __m256i gaps = _mm256_and_si256(bytes, _mm256_set1_epi8(15));
    gaps = _mm256_add_epi8(gaps, _mm256_slli_epi32(gaps, 8));
    gaps = _mm256_add_epi8(gaps, _mm256_slli_epi32(gaps, 16));
    const __m256i position = _mm256_add_epi8(at, gaps);
    at = spread<3>(position);
    return _mm256_sub_epi8(position, base);
  }
  template <int Window>
  COLONNADE_OP void step_by_gaps(const std::byte* p, unsigned base, Positions& at, Indices& index, Values& values) {
    const Raw bytes = raw_load(p);
    const __m256i from = _mm256_set1_epi8(static_cast<char>(base));
    const __m256i mask = _mm256_set1_epi8(static_cast<char>(Window - 1));
    index.lo = _mm256_and_si256(indices_by_gaps(bytes.lo, from, at.lo), mask);
    index.hi = _mm256_and_si256(indices_by_gaps(bytes.hi, from, at.hi), mask);
    values = widen_values(raw_high(bytes));
  }
  template <int Window>
  COLONNADE_OP I dot_picked(I acc, const Indices& at, const Values& w, const std::uint8_t* x) {
    // Sixteen bytes of the window at a time; adding 0x70 sets the top bit of every index that is elsewhere.
    __m256i lo = _mm256_setzero_si256(), hi = _mm256_setzero_si256();
    const __m256i limit = _mm256_set1_epi8(0x70);
    for (int part = 0; part < Window / 16; ++part) {
      const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + 16 * part)));
      const __m256i high = _mm256_set1_epi8(static_cast<char>(part << 4));
      lo = _mm256_or_si256(lo, _mm256_shuffle_epi8(table, _mm256_adds_epu8(_mm256_xor_si256(at.lo, high), limit)));
      hi = _mm256_or_si256(hi, _mm256_shuffle_epi8(table, _mm256_adds_epu8(_mm256_xor_si256(at.hi, high), limit)));
    }
    return dot_values(acc, {lo, hi}, w);
  }
  COLONNADE_OP I dot_values(I acc, Raw x, const Values& w) {
    const Bytes picked = widen_bytes(x);
    const __m256i low = _mm256_add_epi32(_mm256_madd_epi16(picked.lo_even, w.lo_even), _mm256_madd_epi16(picked.lo_odd, w.lo_odd));
    const __m256i top = _mm256_add_epi32(_mm256_madd_epi16(picked.hi_even, w.hi_even), _mm256_madd_epi16(picked.hi_odd, w.hi_odd));
    return {_mm256_add_epi32(acc.lo, low), _mm256_add_epi32(acc.hi, top)};
  }
  struct QuadIndices { __m256i lo, hi; };
  COLONNADE_OP QuadIndices load_quad_indices(const std::byte* p) {
    const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    // Of bytes that are no quad the lower bits: what is gathered lies in the group.
    const __m256i most = _mm256_set1_epi32(127);
    return {_mm256_and_si256(_mm256_cvtepu8_epi32(all), most), _mm256_and_si256(_mm256_cvtepu8_epi32(_mm_srli_si128(all, 8)), most)};
  }
  COLONNADE_OP I dot_quads(I acc, const QuadIndices& at, const Values& w, const std::uint8_t* x) {
    const int* const quads = reinterpret_cast<const int*>(x);
    return dot_values(acc, {_mm256_i32gather_epi32(quads, at.lo, 4), _mm256_i32gather_epi32(quads, at.hi, 4)}, w);
  }
  COLONNADE_OP I add_128_times(I acc, const Values& w) {
    const __m256i factor = _mm256_set1_epi16(128);
    const __m256i lo = _mm256_add_epi32(_mm256_madd_epi16(w.lo_even, factor), _mm256_madd_epi16(w.lo_odd, factor));
    const __m256i hi = _mm256_add_epi32(_mm256_madd_epi16(w.hi_even, factor), _mm256_madd_epi16(w.hi_odd, factor));
    return {_mm256_add_epi32(acc.lo, lo), _mm256_add_epi32(acc.hi, hi)};
  }
  COLONNADE_OP I keep_lanes(unsigned lanes, I a) {
    return {_mm256_and_si256(a.lo, _mm256_castps_si256(lanes_of(lanes))),
            _mm256_and_si256(a.hi, _mm256_castps_si256(lanes_of(lanes >> 8)))};
  }
  COLONNADE_OP I lanes_from(const std::uint8_t* from, I a) {
    alignas(32) std::int32_t lanes[16], result[16];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), a.lo);
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes + 8), a.hi);
    for (int lane = 0; lane < 16; ++lane) result[lane] = from[lane] < 16 ? lanes[from[lane]] : 0;
    return {load_words(result), load_words(result + 8)};
  }
};

}  // namespace colonnade::engine::avx2

#undef COLONNADE_OP
