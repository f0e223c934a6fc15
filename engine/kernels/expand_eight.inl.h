// Kept values into their places eight at a time, by shuffles from a table: for instruction sets without an expand
// instruction. Only for files that are compiled with AVX2; always inlined, so that nothing of it is shared.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "engine/kernels/byte_expansion.h"
#include "engine/kernels/nibble.h"

namespace colonnade::engine {

/// The next bytes at p (or 16 times their nibbles) where a mask bit is set, 128 elsewhere; in the low half. p moves on.
template <Nibble N>
[[gnu::always_inline]] static inline __m128i expand_eight(unsigned mask, const std::byte*& p) {
  const __m128i top = _mm_set1_epi8(static_cast<char>(0x80));
  // The shuffle's top bits mark what is not kept.
  const __m128i shuffle = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kByteExpansion.shuffles[mask]));
  __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  if (N == Nibble::kLow) bytes = _mm_slli_epi16(bytes, 4);
  if (N != Nibble::kBoth) bytes = _mm_and_si128(bytes, _mm_set1_epi8(static_cast<char>(0xf0)));
  p += __builtin_popcount(mask);
  return _mm_or_si128(_mm_shuffle_epi8(bytes, shuffle), _mm_and_si128(shuffle, top));
}

template <Nibble N>
[[gnu::always_inline]] static inline __m256i expand_half(std::uint32_t mask, const std::byte*& p) {
  const __m128i a = expand_eight<N>(mask & 0xff, p), b = expand_eight<N>(mask >> 8 & 0xff, p);
  const __m128i c = expand_eight<N>(mask >> 16 & 0xff, p), d = expand_eight<N>(mask >> 24, p);
  return _mm256_set_m128i(_mm_unpacklo_epi64(c, d), _mm_unpacklo_epi64(a, b));
}

/// Eight bf16 in their places, 0 elsewhere. p moves on.
[[gnu::always_inline]] static inline __m128i expand_eight_words(unsigned mask, const std::byte*& p) {
  // The byte shuffle doubled: byte k of word j is 2 * shuffle[j] + k.
  const __m128i shuffle = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kByteExpansion.shuffles[mask]));
  const __m128i top = _mm_and_si128(shuffle, _mm_set1_epi8(static_cast<char>(0x80)));
  const __m128i twice = _mm_or_si128(_mm_add_epi8(shuffle, shuffle), top);
  const __m128i pairs = _mm_add_epi8(_mm_unpacklo_epi8(twice, twice), _mm_set1_epi16(0x0100));
  const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  p += 2 * __builtin_popcount(mask);
  return _mm_shuffle_epi8(words, pairs);
}

}  // namespace colonnade::engine
