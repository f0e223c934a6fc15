// The 16-lane vector as two 256-bit registers (AVX2 and FMA).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace colonnade::engine::avx2 {

struct Simd {
  static constexpr int kTokenBlock = 1;  // 4 chains of two registers already fill half of the 16
  static constexpr int kStripBlock = 1;
  struct F { __m256 a, b; };
  struct I { __m256i a, b; };

  static F set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static F load_part(const float* p, std::size_t n) {
    float lanes[16] = {};
    std::memcpy(lanes, p, n * sizeof(float));
    return load(lanes);
  }
  static void store(float* p, F x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
  }
  static void store_part(float* p, F x, std::size_t n) {
    float lanes[16];
    store(lanes, x);
    std::memcpy(p, lanes, n * sizeof(float));
  }
  static F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  static F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  static F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  static F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
  static F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
  static F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
  static F abs(F x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
  }
  static F fma(F x, F y, F z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
  static F keep_from(F value, F x, float bound) {
    const __m256 limit = _mm256_set1_ps(bound);
    return {_mm256_and_ps(_mm256_cmp_ps(x.a, limit, _CMP_GE_OQ), value.a),
            _mm256_and_ps(_mm256_cmp_ps(x.b, limit, _CMP_GE_OQ), value.b)};
  }
  static I round(F x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
  static F to_float(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
  static F exp2(I n) {
    const __m256i bias = _mm256_set1_epi32(127);
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.a, bias), 23)),
            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.b, bias), 23))};
  }
  static I set_int(std::int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  static I add_int(I x, I y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
  static void store_int8(std::int8_t* p, I x) {
    std::int32_t lanes[16];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), x.a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes + 8), x.b);
    for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(lanes[i]);
  }
  static std::int32_t sum(I x) {
    std::int32_t lanes[8];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), _mm256_add_epi32(x.a, x.b));
    std::int32_t total = 0;
    for (const std::int32_t lane : lanes) total += lane;
    return total;
  }
  static float sum(F x) {
    const __m256 b = _mm256_add_ps(x.a, x.b);
    const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
  }
  static float max_lane(F x) {
    const __m256 b = _mm256_max_ps(x.a, x.b);
    const __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 d = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
  }
  static __m256i bytes(const std::byte* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static F bf16_low(const std::byte* p) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(bytes(p), 16)), _mm256_castsi256_ps(_mm256_slli_epi32(bytes(p + 32), 16))};
  }
  static F bf16_high(const std::byte* p) {
    const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    return {_mm256_castsi256_ps(_mm256_and_si256(bytes(p), mask)), _mm256_castsi256_ps(_mm256_and_si256(bytes(p + 32), mask))};
  }
  static F load_bf16(const std::byte* p) {
    const auto half = [](const std::byte* q) {
      return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q))), 16));
    };
    return {half(p), half(p + 16)};
  }
  /// vpmaddubsw would saturate, so even and odd bytes are widened to 16 bits first.
  static I dot4(I acc, const std::byte* weights, const std::int8_t* activations) {
    const auto pair = [](int low, int high) {
      return _mm256_set1_epi32(static_cast<std::int32_t>(static_cast<std::uint32_t>(low & 0xffff) |
                                                         (static_cast<std::uint32_t>(high & 0xffff) << 16)));
    };
    const __m256i even = pair(activations[0], activations[2]);
    const __m256i odd = pair(activations[1], activations[3]);
    const __m256i low = _mm256_set1_epi16(0x00ff);
    const auto half = [&](__m256i sum, __m256i w) {
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_and_si256(w, low), even));
      return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_srli_epi16(w, 8), odd));
    };
    return {half(acc.a, bytes(weights)), half(acc.b, bytes(weights + 32))};
  }
};

}  // namespace colonnade::engine::avx2
