// The 16-lane vector as one 512-bit register (AVX-512 F, BW, DQ, VL and VNNI).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace colonnade::engine::avx512 {

struct Simd {
  static constexpr int kTokenBlock = 6;  // 6 tokens × 4 chains = 24 accumulators of 32 registers
  static constexpr int kStripBlock = 4;  // 4 strips × 6 tokens = 24 accumulators: 10 loads for 24 dot products
  using F = __m512;
  using I = __m512i;

  static F set(float x) { return _mm512_set1_ps(x); }
  static F zero() { return _mm512_setzero_ps(); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static __mmask16 first(std::size_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static F load_part(const float* p, std::size_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static void store(float* p, F a) { _mm512_storeu_ps(p, a); }
  static void store_part(float* p, F a, std::size_t n) { _mm512_mask_storeu_ps(p, first(n), a); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F abs(F a) { return _mm512_abs_ps(a); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F keep_from(F value, F x, float bound) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, set(bound), _CMP_GE_OQ), value);
  }
  static I round(F a) { return _mm512_cvtps_epi32(a); }
  static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  static F exp2(I n) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(127)), 23)); }
  static I set_int(std::int32_t x) { return _mm512_set1_epi32(x); }
  static I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
  static void store_int8(std::int8_t* p, I a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a)); }
  static std::int32_t sum(I a) { return _mm512_reduce_add_epi32(a); }
  static float sum(F a) {
    const __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
  }
  static float max_lane(F a) { return _mm512_reduce_max_ps(a); }
  static F bf16_low(const std::byte* p) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16)); }
  static F bf16_high(const std::byte* p) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  static F load_bf16(const std::byte* p) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
  }
  static I dot4(I acc, const std::byte* weights, const std::int8_t* activations) {
    std::int32_t four;
    std::memcpy(&four, activations, sizeof four);
    return _mm512_dpbusd_epi32(acc, _mm512_loadu_si512(weights), _mm512_set1_epi32(four));
  }
};

}  // namespace colonnade::engine::avx512
