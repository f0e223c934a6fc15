// What turned activations (strips_turned.inl.h) need beside the vector type: AVX2. See turned_scalar.h for what each function
// means.
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/kernels/simd_avx2.h"
#include "engine/kernels/turned_step.h"

#define COLONNADE_OP [[gnu::always_inline]] static inline

namespace colonnade::engine::avx2 {

struct Turned {
  using I = Simd::I;
  static constexpr int kLeastTokens = 8;
  static constexpr std::uint32_t kLeastStrips = 4, kLeastGapStrips = 4;

  template <int Window>
  COLONNADE_OP void unpack(const Simd::Indices& index, const Simd::Values& values, unsigned base, UnpackedStep& to) {
    unpack_half<Window>(index.lo, values.lo_even, values.lo_odd, base, to, 0);
    unpack_half<Window>(index.hi, values.hi_even, values.hi_odd, base, to, 32);
  }

  template <int Vectors>
  COLONNADE_OP void add_lines(I (&sums)[Vectors], const std::uint8_t* lines, const std::uint16_t* places, const std::int8_t* values) {
    const Simd::Quad w = Simd::load_quad(values);
    const std::uint8_t* at[4];
    for (int i = 0; i < 4; ++i) at[i] = lines + (std::size_t{places[i]} << (6 - kPlaceBits));
    // Half a line has lanes 0 and 1 of every vector, or lanes 2 and 3: the half's quads are in the order of the tokens.
    __m256i quads[Vectors];
    interleave<Vectors>(at, 0, quads);
    for (int v = 0; v < Vectors; ++v) sums[v].lo = add_words(sums[v].lo, quads[v], w);
    interleave<Vectors>(at, 32, quads);
    for (int v = 0; v < Vectors; ++v) sums[v].hi = add_words(sums[v].hi, quads[v], w);
  }

  COLONNADE_OP void unpack_quads(const Simd::QuadIndices& index, const Simd::Values& values, UnpackedStep& to) {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(index.lo, index.hi), 0xd8);
    _mm256_store_si256(reinterpret_cast<__m256i*>(to.places), _mm256_slli_epi16(words, kQuadPlaceBits));
    store_values(values.lo_even, values.lo_odd, to.values);
    store_values(values.hi_even, values.hi_odd, to.values + 32);
  }

  COLONNADE_OP void interleave(const std::uint8_t* lines, std::uint8_t* to) {
    const std::uint8_t* const at[4] = {lines, lines + kTurnedTokens, lines + 2 * kTurnedTokens, lines + 3 * kTurnedTokens};
    for (std::size_t half = 0; half < 64; half += 32) {
      __m256i quads[4];
      interleave<4>(at, half, quads);
      for (std::size_t v = 0; v < 4; ++v) _mm256_store_si256(reinterpret_cast<__m256i*>(to + 64 * v + half), quads[v]);
    }
  }

  template <int Vectors>
  COLONNADE_OP void add_quad(I (&sums)[Vectors], const std::uint8_t* quads, const std::int8_t* values) {
    const Simd::Quad w = Simd::load_quad(values);
    for (std::size_t v = 0; v < Vectors; ++v) {
      sums[v].lo = add_words(sums[v].lo, Simd::load_words(quads + 64 * v), w);
      sums[v].hi = add_words(sums[v].hi, Simd::load_words(quads + 64 * v + 32), w);
    }
  }

  COLONNADE_OP void turn_rows(const std::uint8_t* const (&rows)[kTurnedTokens], TurnedGroup& to) {
    for (std::size_t lane = 0; lane < 4; ++lane)
      for (std::size_t column = 0; column < kWideGroup; column += 16) turn_square(rows, lane, column, to);
  }

  COLONNADE_OP void turn_rows_to_quads(const std::uint8_t* const (&rows)[kTurnedTokens], TurnedGroup& to) {
    for (std::size_t column = 0; column < kWideGroup; column += 16)
      for (std::size_t t = 0; t < kTurnedTokens; t += 4)
        turn_quads(rows + t, column, to.lines[column] + 4 * t);
  }

  template <bool Add>
  COLONNADE_OP void turn_4(const float* from, std::size_t stride, int count, float* out, std::size_t out_stride) {
    for (std::size_t column = 0; column < 16; column += 4) {
      __m128 a = _mm_loadu_ps(from + column * stride), b = _mm_loadu_ps(from + (column + 1) * stride);
      __m128 c = _mm_loadu_ps(from + (column + 2) * stride), d = _mm_loadu_ps(from + (column + 3) * stride);
      _MM_TRANSPOSE4_PS(a, b, c, d);
      const __m128 rows[4] = {a, b, c, d};
      for (std::size_t t = 0; t < 4 && static_cast<int>(t) < count; ++t) {
        float* const to = out + t * out_stride + column;
        _mm_storeu_ps(to, Add ? _mm_add_ps(_mm_loadu_ps(to), rows[t]) : rows[t]);
      }
    }
  }

  COLONNADE_OP void turn_16(const float* from, std::size_t stride, int count, float* out, std::size_t out_stride) {
    for (std::size_t t = 0; t < 16 && static_cast<int>(t) < count; t += 4)
      turn_4<false>(from + t, stride, count - static_cast<int>(t), out + t * out_stride, out_stride);
  }

  COLONNADE_OP void store_line(std::uint8_t* line, const I (&q)[4]) {
    __m128i bytes[4];
    for (int v = 0; v < 4; ++v) {
      const __m256i zero = _mm256_set1_epi32(128);
      // Within lanes: 16-bit words of lanes 0 and 2, 1 and 3; then in order.
      const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(_mm256_add_epi32(q[v].lo, zero), _mm256_add_epi32(q[v].hi, zero)), 0xd8);
      bytes[v] = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    }
    const __m128i p = _mm_unpacklo_epi32(bytes[0], bytes[1]), r = _mm_unpackhi_epi32(bytes[0], bytes[1]);
    const __m128i s = _mm_unpacklo_epi32(bytes[2], bytes[3]), u = _mm_unpackhi_epi32(bytes[2], bytes[3]);
    auto* const to = reinterpret_cast<__m128i*>(line);
    _mm_store_si128(to, _mm_unpacklo_epi64(p, s));
    _mm_store_si128(to + 1, _mm_unpackhi_epi64(p, s));
    _mm_store_si128(to + 2, _mm_unpacklo_epi64(r, u));
    _mm_store_si128(to + 3, _mm_unpackhi_epi64(r, u));
  }

 private:
  /// Four quads of four rows.
  COLONNADE_OP void turn_quads(const std::uint8_t* const* rows, std::size_t column, std::uint8_t* to) {
    const auto row = [&](std::size_t i) { return _mm_castsi128_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i] + column))); };
    __m128 a = row(0), b = row(1), c = row(2), d = row(3);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    const __m128 quads[4] = {a, b, c, d};
    for (std::size_t i = 0; i < 4; ++i) _mm_store_ps(reinterpret_cast<float*>(to + i * 4 * kTurnedTokens), quads[i]);
  }

  template <int Window>
  COLONNADE_OP void unpack_half(__m256i index, __m256i even, __m256i odd, unsigned base, UnpackedStep& to, std::size_t first) {
    const __m256i within = _mm256_and_si256(index, _mm256_set1_epi8(static_cast<char>(Window - 1)));
    const __m256i from = _mm256_set1_epi16(static_cast<short>(base)), most = _mm256_set1_epi16(kWideGroup - 1);
    const __m256i lo = _mm256_add_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(within)), from);
    const __m256i hi = _mm256_add_epi16(_mm256_cvtepu8_epi16(_mm256_extracti128_si256(within, 1)), from);
    auto* const places = reinterpret_cast<__m256i*>(to.places + first);
    _mm256_store_si256(places, _mm256_slli_epi16(_mm256_and_si256(lo, most), kPlaceBits));
    _mm256_store_si256(places + 1, _mm256_slli_epi16(_mm256_and_si256(hi, most), kPlaceBits));
    store_values(even, odd, to.values + first);
  }

  COLONNADE_OP void store_values(__m256i even, __m256i odd, std::int8_t* to) {
    const __m256i low_bytes = _mm256_and_si256(even, _mm256_set1_epi16(0xff));
    _mm256_store_si256(reinterpret_cast<__m256i*>(to), _mm256_or_si256(low_bytes, _mm256_slli_epi16(odd, 8)));
  }

  /// Half of four lines as quads of 8 tokens each.
  template <int Vectors>
  COLONNADE_OP void interleave(const std::uint8_t* const (&at)[4], std::size_t half, __m256i (&quads)[Vectors]) {
    const __m256i a = Simd::load_words(at[0] + half), b = Simd::load_words(at[1] + half);
    const __m256i c = Simd::load_words(at[2] + half), d = Simd::load_words(at[3] + half);
    const __m256i ab_lo = _mm256_unpacklo_epi8(a, b), cd_lo = _mm256_unpacklo_epi8(c, d);
    quads[0] = _mm256_unpacklo_epi16(ab_lo, cd_lo);
    quads[1] = _mm256_unpackhi_epi16(ab_lo, cd_lo);
    if constexpr (Vectors == 4) {
      const __m256i ab_hi = _mm256_unpackhi_epi8(a, b), cd_hi = _mm256_unpackhi_epi8(c, d);
      quads[2] = _mm256_unpacklo_epi16(ab_hi, cd_hi);
      quads[3] = _mm256_unpackhi_epi16(ab_hi, cd_hi);
    }
  }

  COLONNADE_OP __m256i add_words(__m256i sum, __m256i quad, const Simd::Quad& w) {
    const __m256i even = _mm256_and_si256(quad, _mm256_set1_epi16(0xff)), odd = _mm256_srli_epi16(quad, 8);
    return _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_madd_epi16(even, w.even), _mm256_madd_epi16(odd, w.odd)));
  }

  /// 16 columns of the tokens whose bytes are lane `lane` of a line.
  COLONNADE_OP void turn_square(const std::uint8_t* const (&rows)[kTurnedTokens], std::size_t lane, std::size_t column, TurnedGroup& to) {
    __m128i m[16], a[16];
    for (std::size_t i = 0; i < 16; ++i)
      m[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i / 4 * 16 + 4 * lane + i % 4] + column));
    for (std::size_t i = 0; i < 8; ++i) {
      a[2 * i] = _mm_unpacklo_epi8(m[2 * i], m[2 * i + 1]);
      a[2 * i + 1] = _mm_unpackhi_epi8(m[2 * i], m[2 * i + 1]);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      m[4 * i] = _mm_unpacklo_epi16(a[4 * i], a[4 * i + 2]);
      m[4 * i + 1] = _mm_unpackhi_epi16(a[4 * i], a[4 * i + 2]);
      m[4 * i + 2] = _mm_unpacklo_epi16(a[4 * i + 1], a[4 * i + 3]);
      m[4 * i + 3] = _mm_unpackhi_epi16(a[4 * i + 1], a[4 * i + 3]);
    }
    // m[4 i + j]: columns 4 j … 4 j + 3, each of four tokens.
    for (std::size_t j = 0; j < 4; ++j) {
      const __m128i p = _mm_unpacklo_epi32(m[j], m[4 + j]), q = _mm_unpackhi_epi32(m[j], m[4 + j]);
      const __m128i r = _mm_unpacklo_epi32(m[8 + j], m[12 + j]), s = _mm_unpackhi_epi32(m[8 + j], m[12 + j]);
      const auto to_line = [&](std::size_t c) { return reinterpret_cast<__m128i*>(to.lines[column + 4 * j + c] + 16 * lane); };
      _mm_store_si128(to_line(0), _mm_unpacklo_epi64(p, r));
      _mm_store_si128(to_line(1), _mm_unpackhi_epi64(p, r));
      _mm_store_si128(to_line(2), _mm_unpacklo_epi64(q, s));
      _mm_store_si128(to_line(3), _mm_unpackhi_epi64(q, s));
    }
  }
};

}  // namespace colonnade::engine::avx2

#undef COLONNADE_OP
