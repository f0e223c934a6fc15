// Sixteen lanes in one AVX-512 register. Needs F, BW, DQ, VL and VNNI (Cascade Lake); compiled a second time with VBMI and
// VBMI2 (Ice Lake, Zen 4 and later), which move bytes in one instruction where the others shuffle. See simd_scalar.h for what each function means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "engine/kernels/expand_eight.inl.h"
#include "engine/kernels/nibble.h"

#define COLONNADE_OP [[gnu::always_inline]] static inline

#if defined(__AVX512VBMI2__)
#define COLONNADE_AVX512 avx512
#else
#define COLONNADE_AVX512 avx512_vnni
#endif

namespace colonnade::engine::COLONNADE_AVX512 {

struct Simd {
  using F = __m512;
  using I = __m512i;
  using Eight = __m512;  // twice
  using Raw = __m512i;
  using Bytes = __m512i;
  using Quad = __m512i;

  // 32 registers. Few tokens: 4 chains x 6 tokens = 24 accumulators. Many: 2 strips x 6 tokens x 2 chains = 24, two
  // strips so that 8 loads feed 12 multiplications (2 loads and 2 multiplications a cycle).
  static constexpr int kFewTokens = 6, kFloatTokens = 6, kFloatStrips = 2, kFloatChains = 2;
  // int8: 12 integer and 12 float accumulators.
  static constexpr int kFewInt8Tokens = 8, kInt8Tokens = 6, kInt8Strips = 2;
  // Index-permute: a sum for each token; windows of pairs take four loads, and gain nothing from more tokens.
  static constexpr int kFewWideTokens = 3, kPairTokens = 8, kGapTokens = 16;
  static constexpr int kAttendSums = 16, kAttendQueries = 4;
  // Products: 6 rows x 4 vectors = 24 sums; 4 loads and 6 broadcasts feed 24 multiplications.
  static constexpr int kProductRows = 6, kProductVectors = 4;
  // Exponentials computed at once: 4 chains hide what each step waits for.
  static constexpr int kMathVectors = 4;

  COLONNADE_OP __mmask16 first(std::size_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

  /// The compilers make it a prefetch for reading unless they are told that the processor has this one; where it has not, it does nothing.
  COLONNADE_OP void prefetch_for_writing(const float* p) { asm volatile("prefetchw %0" : : "m"(*p)); }

  COLONNADE_OP F zero() { return _mm512_setzero_ps(); }
  COLONNADE_OP F set(float x) { return _mm512_set1_ps(x); }
  COLONNADE_OP F load(const float* p) { return _mm512_loadu_ps(p); }
  COLONNADE_OP void store(float* p, F a) { _mm512_storeu_ps(p, a); }
  COLONNADE_OP F load_part(const float* p, std::size_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  COLONNADE_OP void store_part(float* p, F a, std::size_t n) { _mm512_mask_storeu_ps(p, first(n), a); }

  COLONNADE_OP F add(F a, F b) { return _mm512_add_ps(a, b); }
  COLONNADE_OP F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  COLONNADE_OP F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  COLONNADE_OP F div(F a, F b) { return _mm512_div_ps(a, b); }
  COLONNADE_OP F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  COLONNADE_OP F max(F a, F b) { return _mm512_max_ps(a, b); }
  COLONNADE_OP F min(F a, F b) { return _mm512_min_ps(a, b); }
  COLONNADE_OP F abs(F a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
  COLONNADE_OP F neg(F a) { return _mm512_xor_ps(_mm512_set1_ps(-0.0f), a); }
  COLONNADE_OP F select(unsigned lanes, F a, F b) {
    return _mm512_mask_blend_ps(static_cast<__mmask16>(lanes), b, a);
  }

  COLONNADE_OP Eight load_eight(const float* p) { return _mm512_broadcast_f32x8(_mm256_loadu_ps(p)); }
  COLONNADE_OP F pick(Eight table, I index) { return _mm512_permutexvar_ps(index, table); }

  COLONNADE_OP float sum(F a) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  COLONNADE_OP float largest(F a) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  COLONNADE_OP I zero_i() { return _mm512_setzero_si512(); }
  COLONNADE_OP I set_i(std::int32_t x) { return _mm512_set1_epi32(x); }
  COLONNADE_OP I load_i(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  COLONNADE_OP void store_i(std::int32_t* p, I a) { _mm512_storeu_si512(p, a); }
  COLONNADE_OP I add_i(I a, I b) { return _mm512_add_epi32(a, b); }
  COLONNADE_OP I sub_i(I a, I b) { return _mm512_sub_epi32(a, b); }
  template <int Bits>
  COLONNADE_OP I shift_left(I a) { return _mm512_slli_epi32(a, Bits); }
  template <int Bits>
  COLONNADE_OP I shift_right(I a) { return _mm512_srai_epi32(a, Bits); }
  COLONNADE_OP std::int32_t sum_i(I a) {
    const __m256i eight = _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti32x8_epi32(a, 1));
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
  COLONNADE_OP I bits(F a) { return _mm512_castps_si512(a); }
  COLONNADE_OP F from_bits(I a) { return _mm512_castsi512_ps(a); }
  COLONNADE_OP F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  COLONNADE_OP I to_int(F a) { return _mm512_cvtps_epi32(a); }
  COLONNADE_OP F times_power_of_two(F a, F n, I) { return _mm512_scalef_ps(a, n); }
  COLONNADE_OP void store_bytes(std::int8_t* p, I a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a));
  }

  COLONNADE_OP F load_int8(const std::int8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  COLONNADE_OP F load_bf16(const std::uint16_t* p) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return from_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
  COLONNADE_OP void store_bf16(std::uint16_t* p, F a) {
    const I upper = _mm512_srli_epi32(bits(a), 16), odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const I rounded = _mm512_srli_epi32(_mm512_add_epi32(bits(a), _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const I words = _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), upper, _mm512_set1_epi32(0x40));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(words));
  }
  template <bool Odd>
  COLONNADE_OP F load_bf16_pair(const std::byte* p) {
    const I words = _mm512_loadu_si512(p);
    const I wanted = Odd ? _mm512_and_si512(words, _mm512_set1_epi32(static_cast<int>(0xffff0000u)))
                         : _mm512_slli_epi32(words, 16);
    return from_bits(wanted);
  }

  COLONNADE_OP void store_offset_bytes(std::uint8_t* p, I a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_add_epi32(a, _mm512_set1_epi32(128))));
  }

  COLONNADE_OP Raw raw_load(const std::byte* p) { return _mm512_loadu_si512(p); }
  COLONNADE_OP Raw raw_high(Raw a) { return _mm512_and_si512(a, _mm512_set1_epi8(static_cast<char>(0xf0))); }
  COLONNADE_OP Raw raw_low(Raw a) { return raw_high(_mm512_slli_epi16(a, 4)); }
  /// Keeps an operand in a register: expanding straight from memory is microcode on Zen.
  template <class T>
  COLONNADE_OP T in_register(T a) {
    asm("" : "+v"(a));
    return a;
  }
#if defined(__AVX512VBMI2__)
  template <Nibble N>
  COLONNADE_OP Raw raw_expand(std::uint64_t mask, const std::byte* p) {
    Raw a = raw_load(p);
    if (N == Nibble::kHigh) a = raw_high(a);
    if (N == Nibble::kLow) a = raw_low(a);
    return _mm512_mask_expand_epi8(_mm512_set1_epi8(static_cast<char>(0x80)), mask, in_register(a));
  }
#else
  template <Nibble N>
  COLONNADE_OP Raw raw_expand(std::uint64_t mask, const std::byte* p) {
    const __m256i lo = expand_half<N>(static_cast<std::uint32_t>(mask), p);
    const __m256i hi = expand_half<N>(static_cast<std::uint32_t>(mask >> 32), p);
    return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
  }
#endif
  COLONNADE_OP void raw_store(std::byte* p, Raw a) { _mm512_storeu_si512(p, a); }
  COLONNADE_OP void expand_bf16_pair(const std::byte* mask_at, const std::byte* p, F& even, F& odd) {
    std::uint32_t mask;
    __builtin_memcpy(&mask, mask_at, sizeof(mask));
#if defined(__AVX512VBMI2__)
    // Into a register of zeros: the zeroing form of the instruction is microcode on Zen 5, five times slower.
    const std::uint64_t bytes = _pdep_u64(mask, 0x5555555555555555u) * 3;
    const __m512i words =
        _mm512_mask_expand_epi8(in_register(_mm512_setzero_si512()), bytes, in_register(_mm512_loadu_si512(p)));
#else
    const __m128i a = expand_eight_words(mask & 0xff, p), b = expand_eight_words(mask >> 8 & 0xff, p);
    const __m128i c = expand_eight_words(mask >> 16 & 0xff, p), d = expand_eight_words(mask >> 24, p);
    const __m512i words =
        _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(b, a)), _mm256_set_m128i(d, c), 1);
#endif
    even = from_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(words)), 16));
    odd = from_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(words, 1)), 16));
  }

  COLONNADE_OP Bytes widen_bytes(Raw a) { return a; }
  COLONNADE_OP Bytes load_bytes(const std::byte* p) { return raw_load(p); }
  COLONNADE_OP Quad load_quad(const std::int8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, sizeof(four));
    return _mm512_set1_epi32(four);
  }
  COLONNADE_OP I dot(I acc, Bytes w, Quad x) { return _mm512_dpbusd_epi32(acc, w, x); }

  struct Indices { __m512i index; __mmask64 far; };
  using Values = __m512i;
  template <int Window>
  COLONNADE_OP Indices load_indices(const std::byte* p) {
    const __m512i index = _mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(static_cast<char>(Window - 1)));
    return {index, Window == 256 ? _mm512_movepi8_mask(index) : __mmask64{0}};
  }
  COLONNADE_OP Values load_values(const std::byte* p) { return _mm512_loadu_si512(p); }
  using Positions = __m512i;
  /// Byte `Byte` of each lane in all of its four bytes.
  template <int Byte>
  COLONNADE_OP __m512i spread(__m512i a) {
    const __m128i four = _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12), _mm_set1_epi8(Byte));
    return _mm512_shuffle_epi8(a, _mm512_broadcast_i32x4(four));
  }
  COLONNADE_OP Positions start_positions(const std::uint8_t* columns) {
    return spread<0>(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(columns))));
  }
  template <int Window>
  COLONNADE_OP void step_by_gaps(const std::byte* p, unsigned base, Positions& at, Indices& index, Values& values) {
    const __m512i bytes = in_register(_mm512_loadu_si512(p));  // or it is loaded twice
    values = raw_high(bytes);
    __m512i gaps = _mm512_and_si512(bytes, _mm512_set1_epi8(15));
    gaps = _mm512_add_epi8(gaps, _mm512_slli_epi32(gaps, 8));
    gaps = _mm512_add_epi8(gaps, _mm512_slli_epi32(gaps, 16));
    const __m512i position = _mm512_add_epi8(at, gaps);
    at = spread<3>(position);
    index.index = _mm512_sub_epi8(position, _mm512_set1_epi8(static_cast<char>(base)));
    // vpermi2b looks at no more bits than it needs.
#if !defined(__AVX512VBMI2__)
    index.index = _mm512_and_si512(index.index, _mm512_set1_epi8(static_cast<char>(Window - 1)));
#endif
    index.far = Window == 256 ? _mm512_movepi8_mask(index.index) : __mmask64{0};
  }
  COLONNADE_OP Values load_int4_values(const std::byte* p, bool odd) {
    const __m512i both = _mm512_loadu_si512(p);
    return raw_high(_mm512_sllv_epi16(both, _mm512_set1_epi16(odd ? 4 : 0)));
  }
  template <int Window>
  COLONNADE_OP I dot_picked(I acc, const Indices& at, Values w, const std::uint8_t* x) {
#if defined(__AVX512VBMI2__)
    __m512i picked;
    if constexpr (Window == 64) {
      picked = _mm512_permutexvar_epi8(at.index, _mm512_loadu_si512(x));
    } else {
      picked = _mm512_permutex2var_epi8(_mm512_loadu_si512(x), at.index, _mm512_loadu_si512(x + 64));
    }
    if constexpr (Window == 256) {
      const __m512i far = _mm512_permutex2var_epi8(_mm512_loadu_si512(x + 128), at.index, _mm512_loadu_si512(x + 192));
      picked = _mm512_mask_blend_epi8(at.far, picked, far);
    }
#else
    // Sixteen bytes of the window at a time; adding 0x70 sets the top bit of every index that is elsewhere.
    __m512i picked = _mm512_setzero_si512();
    for (int part = 0; part < Window / 16; ++part) {
      const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + 16 * part)));
      const __m512i other = _mm512_xor_si512(at.index, _mm512_set1_epi8(static_cast<char>(part << 4)));
      const __m512i shuffle = _mm512_adds_epu8(other, _mm512_set1_epi8(0x70));
      picked = _mm512_or_si512(picked, _mm512_shuffle_epi8(table, shuffle));
    }
#endif
    return in_register(_mm512_dpbusd_epi32(acc, picked, w));
  }
  struct QuadIndices { __m512i index; __mmask16 odd, far; };
  COLONNADE_OP QuadIndices load_quad_indices(const std::byte* p) {
    const __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return {index, _mm512_test_epi32_mask(index, _mm512_set1_epi32(32)), _mm512_test_epi32_mask(index, _mm512_set1_epi32(64))};
  }
  /// One of 32 quads, by the lower five bits of the index.
  COLONNADE_OP __m512i pick_quads(__m512i index, const std::uint8_t* x) {
    return _mm512_permutex2var_epi32(_mm512_loadu_si512(x), index, _mm512_loadu_si512(x + 64));
  }
  COLONNADE_OP I dot_quads(I acc, const QuadIndices& at, Values w, const std::uint8_t* x) {
    const __m512i near = _mm512_mask_blend_epi32(at.odd, pick_quads(at.index, x), pick_quads(at.index, x + 128));
    const __m512i far = _mm512_mask_blend_epi32(at.odd, pick_quads(at.index, x + 256), pick_quads(at.index, x + 384));
    return in_register(_mm512_dpbusd_epi32(acc, _mm512_mask_blend_epi32(at.far, near, far), w));
  }
  COLONNADE_OP I add_128_times(I acc, Values w) {
    return in_register(_mm512_dpbusd_epi32(acc, _mm512_set1_epi8(static_cast<char>(0x80)), w));
  }
  COLONNADE_OP I keep_lanes(unsigned lanes, I a) { return _mm512_maskz_mov_epi32(static_cast<__mmask16>(lanes), a); }
  COLONNADE_OP I lanes_from(const std::uint8_t* from, I a) {
    const I lane = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return _mm512_maskz_permutexvar_epi32(_mm512_cmplt_epu32_mask(lane, _mm512_set1_epi32(16)), lane, a);
  }
};

}  // namespace colonnade::engine::COLONNADE_AVX512

#undef COLONNADE_AVX512

#undef COLONNADE_OP
