// What turned activations (strips_turned.inl.h) need beside the vector type: AVX-512. See turned_scalar.h for what each
// function means. Compiled twice, as simd_avx512.h is.
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/kernels/simd_avx512.h"
#include "engine/kernels/turned_step.h"

#define COLONNADE_OP [[gnu::always_inline]] static inline

#if defined(__AVX512VBMI2__)
#define COLONNADE_AVX512 avx512
#else
#define COLONNADE_AVX512 avx512_vnni
#endif

namespace colonnade::engine::COLONNADE_AVX512 {

struct Turned {
  using I = Simd::I;
#if defined(__AVX512VBMI2__)
  static constexpr int kLeastTokens = 48;
  // Gaps have a quarter more entries, of value 0: with what turning costs, rows are faster unless they are turned already.
  static constexpr std::uint32_t kLeastStrips = 8, kLeastGapStrips = 0xffffffff;
#else  // without an instruction that finds bytes in a window, rows take five times as long
  static constexpr int kLeastTokens = 16;
  static constexpr std::uint32_t kLeastStrips = 4, kLeastGapStrips = 4;
#endif

  template <int Window>
  COLONNADE_OP void unpack(const Simd::Indices& index, Simd::Values values, unsigned base, UnpackedStep& to) {
    const __m512i within = _mm512_and_si512(index.index, _mm512_set1_epi8(static_cast<char>(Window - 1)));
    const __m512i from = _mm512_set1_epi16(static_cast<short>(base)), most = _mm512_set1_epi16(kWideGroup - 1);
    const __m512i lo = _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(within)), from);
    const __m512i hi = _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(within, 1)), from);
    _mm512_store_si512(to.places, _mm512_slli_epi16(_mm512_and_si512(lo, most), kPlaceBits));
    _mm512_store_si512(to.places + 32, _mm512_slli_epi16(_mm512_and_si512(hi, most), kPlaceBits));
    _mm512_store_si512(to.values, values);
  }

  template <int Vectors>
  COLONNADE_OP void add_lines(I (&sums)[Vectors], const std::uint8_t* lines, const std::uint16_t* places, const std::int8_t* values) {
    const __m512i w = Simd::load_quad(values);
    std::uint64_t four;
    __builtin_memcpy(&four, places, sizeof(four));
    asm("" : "+r"(four));  // loads are the limit: or each place is loaded by itself
    const __m512i a = line(lines, four & 0xffff), b = line(lines, four >> 16 & 0xffff);
    const __m512i c = line(lines, four >> 32 & 0xffff), d = line(lines, four >> 48);
    const __m512i ab_lo = _mm512_unpacklo_epi8(a, b), cd_lo = _mm512_unpacklo_epi8(c, d);
    sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_unpacklo_epi16(ab_lo, cd_lo), w);
    sums[1] = _mm512_dpbusd_epi32(sums[1], _mm512_unpackhi_epi16(ab_lo, cd_lo), w);
    if constexpr (Vectors == 4) {
      const __m512i ab_hi = _mm512_unpackhi_epi8(a, b), cd_hi = _mm512_unpackhi_epi8(c, d);
      sums[2] = _mm512_dpbusd_epi32(sums[2], _mm512_unpacklo_epi16(ab_hi, cd_hi), w);
      sums[3] = _mm512_dpbusd_epi32(sums[3], _mm512_unpackhi_epi16(ab_hi, cd_hi), w);
    }
  }

  COLONNADE_OP void unpack_quads(const Simd::QuadIndices& index, Simd::Values values, UnpackedStep& to) {
    // Of bytes that are no quad the lower bits.
    const __m512i quad = _mm512_and_si512(index.index, _mm512_set1_epi32(kWideQuads - 1));
    _mm256_store_si256(reinterpret_cast<__m256i*>(to.places), _mm512_cvtepi32_epi16(_mm512_slli_epi32(quad, kQuadPlaceBits)));
    _mm512_store_si512(to.values, values);
  }

  COLONNADE_OP void interleave(const std::uint8_t* lines, std::uint8_t* to) {
    const __m512i a = line(lines, 0), b = line(lines, 1 << kPlaceBits), c = line(lines, 2 << kPlaceBits), d = line(lines, 3 << kPlaceBits);
    const __m512i ab_lo = _mm512_unpacklo_epi8(a, b), cd_lo = _mm512_unpacklo_epi8(c, d);
    const __m512i ab_hi = _mm512_unpackhi_epi8(a, b), cd_hi = _mm512_unpackhi_epi8(c, d);
    _mm512_store_si512(to, _mm512_unpacklo_epi16(ab_lo, cd_lo));
    _mm512_store_si512(to + 64, _mm512_unpackhi_epi16(ab_lo, cd_lo));
    _mm512_store_si512(to + 128, _mm512_unpacklo_epi16(ab_hi, cd_hi));
    _mm512_store_si512(to + 192, _mm512_unpackhi_epi16(ab_hi, cd_hi));
  }

  template <int Vectors>
  COLONNADE_OP void add_quad(I (&sums)[Vectors], const std::uint8_t* quads, const std::int8_t* values) {
    const __m512i w = Simd::load_quad(values);
    sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_load_si512(quads), w);
    sums[1] = _mm512_dpbusd_epi32(sums[1], _mm512_load_si512(quads + 64), w);
    if constexpr (Vectors == 4) {
      sums[2] = _mm512_dpbusd_epi32(sums[2], _mm512_load_si512(quads + 128), w);
      sums[3] = _mm512_dpbusd_epi32(sums[3], _mm512_load_si512(quads + 192), w);
    }
  }

  COLONNADE_OP void turn_rows(const std::uint8_t* const (&rows)[kTurnedTokens], TurnedGroup& to) {
    for (std::size_t lane = 0; lane < 4; ++lane)
      for (std::size_t column = 0; column < kWideGroup; column += 64) turn_square(rows, lane, column, to);
  }

  COLONNADE_OP void turn_rows_to_quads(const std::uint8_t* const (&rows)[kTurnedTokens], TurnedGroup& to) {
    for (std::size_t first = 0; first < kTurnedTokens; first += 16) {
      for (std::size_t column = 0; column < kWideGroup; column += 64) {
        __m512i m[16];
        for (std::size_t i = 0; i < 16; ++i) m[i] = _mm512_loadu_si512(rows[first + i] + column);
        transpose(m);
        for (std::size_t i = 0; i < 16; ++i) _mm512_store_si512(to.lines[column + 4 * i] + 4 * first, m[i]);
      }
    }
  }

  template <bool Add>
  COLONNADE_OP void turn_4(const float* from, std::size_t stride, int count, float* out, std::size_t out_stride) {
    __m512 a[4];  // 128-bit lane l of a[i]: column 4 l + i
    for (std::size_t i = 0; i < 4; ++i) {
      a[i] = _mm512_castps128_ps512(_mm_loadu_ps(from + i * stride));
      a[i] = _mm512_insertf32x4(a[i], _mm_loadu_ps(from + (4 + i) * stride), 1);
      a[i] = _mm512_insertf32x4(a[i], _mm_loadu_ps(from + (8 + i) * stride), 2);
      a[i] = _mm512_insertf32x4(a[i], _mm_loadu_ps(from + (12 + i) * stride), 3);
    }
    const __m512d ab_lo = _mm512_castps_pd(_mm512_unpacklo_ps(a[0], a[1])), ab_hi = _mm512_castps_pd(_mm512_unpackhi_ps(a[0], a[1]));
    const __m512d cd_lo = _mm512_castps_pd(_mm512_unpacklo_ps(a[2], a[3])), cd_hi = _mm512_castps_pd(_mm512_unpackhi_ps(a[2], a[3]));
    const __m512d rows[4] = {_mm512_unpacklo_pd(ab_lo, cd_lo), _mm512_unpackhi_pd(ab_lo, cd_lo), _mm512_unpacklo_pd(ab_hi, cd_hi),
                             _mm512_unpackhi_pd(ab_hi, cd_hi)};
    for (int t = 0; t < 4 && t < count; ++t) {
      float* const to = out + static_cast<std::size_t>(t) * out_stride;
      const __m512 row = _mm512_castpd_ps(rows[t]);
      _mm512_storeu_ps(to, Add ? _mm512_add_ps(_mm512_loadu_ps(to), row) : row);
    }
  }

  COLONNADE_OP void turn_16(const float* from, std::size_t stride, int count, float* out, std::size_t out_stride) {
    __m512i m[16];
    for (std::size_t i = 0; i < 16; ++i) m[i] = _mm512_loadu_si512(from + i * stride);
    transpose(m);
    for (int t = 0; t < 16 && t < count; ++t) _mm512_storeu_si512(out + static_cast<std::size_t>(t) * out_stride, m[t]);
  }

  COLONNADE_OP void store_line(std::uint8_t* line, const I (&q)[4]) {
    const __m512i zero = _mm512_set1_epi32(128);
    __m512i all = _mm512_castsi128_si512(_mm512_cvtepi32_epi8(_mm512_add_epi32(q[0], zero)));
    all = _mm512_inserti32x4(all, _mm512_cvtepi32_epi8(_mm512_add_epi32(q[1], zero)), 1);
    all = _mm512_inserti32x4(all, _mm512_cvtepi32_epi8(_mm512_add_epi32(q[2], zero)), 2);
    all = _mm512_inserti32x4(all, _mm512_cvtepi32_epi8(_mm512_add_epi32(q[3], zero)), 3);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_store_si512(line, _mm512_permutexvar_epi32(order, all));
  }

 private:
  /// 16 rows of 16 numbers become 16 columns.
  COLONNADE_OP void transpose(__m512i (&m)[16]) {
    __m512i a[16];
    for (std::size_t i = 0; i < 8; ++i) {
      a[2 * i] = _mm512_unpacklo_epi32(m[2 * i], m[2 * i + 1]);
      a[2 * i + 1] = _mm512_unpackhi_epi32(m[2 * i], m[2 * i + 1]);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      m[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
      m[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
      m[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
      m[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
    // m[4 i + j], 128-bit lane l: column 4 l + j of rows 4 i … 4 i + 3.
    for (std::size_t j = 0; j < 4; ++j) {
      const __m512i p = _mm512_shuffle_i32x4(m[j], m[4 + j], 0x44), q = _mm512_shuffle_i32x4(m[j], m[4 + j], 0xee);
      const __m512i r = _mm512_shuffle_i32x4(m[8 + j], m[12 + j], 0x44), s = _mm512_shuffle_i32x4(m[8 + j], m[12 + j], 0xee);
      a[j] = _mm512_shuffle_i32x4(p, r, 0x88);
      a[4 + j] = _mm512_shuffle_i32x4(p, r, 0xdd);
      a[8 + j] = _mm512_shuffle_i32x4(q, s, 0x88);
      a[12 + j] = _mm512_shuffle_i32x4(q, s, 0xdd);
    }
    for (std::size_t i = 0; i < 16; ++i) m[i] = a[i];
  }

  COLONNADE_OP __m512i line(const std::uint8_t* lines, std::uint64_t place) {
    return _mm512_load_si512(lines + (place << (6 - kPlaceBits)));
  }

  /// 64 columns of the tokens whose bytes are lane `lane` of a line.
  COLONNADE_OP void turn_square(const std::uint8_t* const (&rows)[kTurnedTokens], std::size_t lane, std::size_t column, TurnedGroup& to) {
    __m512i m[16], a[16];
    for (std::size_t i = 0; i < 16; ++i) m[i] = _mm512_loadu_si512(rows[i / 4 * 16 + 4 * lane + i % 4] + column);
    for (std::size_t i = 0; i < 8; ++i) {
      a[2 * i] = _mm512_unpacklo_epi8(m[2 * i], m[2 * i + 1]);
      a[2 * i + 1] = _mm512_unpackhi_epi8(m[2 * i], m[2 * i + 1]);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      m[4 * i] = _mm512_unpacklo_epi16(a[4 * i], a[4 * i + 2]);
      m[4 * i + 1] = _mm512_unpackhi_epi16(a[4 * i], a[4 * i + 2]);
      m[4 * i + 2] = _mm512_unpacklo_epi16(a[4 * i + 1], a[4 * i + 3]);
      m[4 * i + 3] = _mm512_unpackhi_epi16(a[4 * i + 1], a[4 * i + 3]);
    }
    // m[4 i + j], 128-bit lane l: columns 16 l + 4 j … + 3, each of four tokens.
    for (std::size_t j = 0; j < 4; ++j) {
      const __m512i p = _mm512_unpacklo_epi32(m[j], m[4 + j]), q = _mm512_unpackhi_epi32(m[j], m[4 + j]);
      const __m512i r = _mm512_unpacklo_epi32(m[8 + j], m[12 + j]), s = _mm512_unpackhi_epi32(m[8 + j], m[12 + j]);
      const __m512i columns[4] = {_mm512_unpacklo_epi64(p, r), _mm512_unpackhi_epi64(p, r), _mm512_unpacklo_epi64(q, s),
                                  _mm512_unpackhi_epi64(q, s)};
      for (std::size_t c = 0; c < 4; ++c) {
        const std::size_t first = column + 4 * j + c;
        _mm_store_si128(reinterpret_cast<__m128i*>(to.lines[first] + 16 * lane), _mm512_castsi512_si128(columns[c]));
        _mm_store_si128(reinterpret_cast<__m128i*>(to.lines[first + 16] + 16 * lane), _mm512_extracti32x4_epi32(columns[c], 1));
        _mm_store_si128(reinterpret_cast<__m128i*>(to.lines[first + 32] + 16 * lane), _mm512_extracti32x4_epi32(columns[c], 2));
        _mm_store_si128(reinterpret_cast<__m128i*>(to.lines[first + 48] + 16 * lane), _mm512_extracti32x4_epi32(columns[c], 3));
      }
    }
  }
};

}  // namespace colonnade::engine::COLONNADE_AVX512

#undef COLONNADE_AVX512
#undef COLONNADE_OP
