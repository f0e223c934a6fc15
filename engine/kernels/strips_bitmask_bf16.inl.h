// Multiplication of bitmask-bf16 strips with fp32 activations: the order of additions of strips_float.inl.h, so the same
// bits as dense bf16 (a weight of 0 changes no sum).
#pragma once

#include <cstring>

#include "engine/formats/strip_layout.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/quad_sources.inl.h"

namespace colonnade::engine {

template <class V, int T>
struct BitmaskBf16Strip {
  using F = typename V::F;

  /// Columns C and C + 1 of four.
  template <int C>
  [[gnu::always_inline]] static inline void add_columns(const std::byte* masks, const std::byte* values, const float* const* x,
                                                        std::size_t quad, F (&chains)[T][4]) {
    F even, odd;
    V::expand_bf16_pair(masks, values, even, odd);
    for (int t = 0; t < T; ++t) {
      chains[t][C] = V::fma(even, V::set(x[t][4 * quad + C]), chains[t][C]);
      chains[t][C + 1] = V::fma(odd, V::set(x[t][4 * quad + C + 1]), chains[t][C + 1]);
    }
  }

  static void run(const StripPlace& strip, std::size_t cols, const float* const* x, float* out, std::size_t out_stride) {
    const std::byte* masks = strip.at;
    const std::byte* values =
        strip.at + (cols + kBitmaskBf16Granule - 1) / kBitmaskBf16Granule * kBitmaskBf16Granule * sizeof(std::uint16_t);
    F chains[T][4];
    for (int t = 0; t < T; ++t)
      for (int c = 0; c < 4; ++c) chains[t][c] = V::zero();
    const std::size_t n_quads = (cols + 3) / 4;
    NextStrip next_strip(strip, 2 * n_quads);  // a quad may be longer than a cache line
    for (std::size_t quad = 0; quad < n_quads; ++quad, masks += 4 * sizeof(std::uint16_t)) {
      std::uint64_t four;  // masks of four columns
      std::memcpy(&four, masks, sizeof(four));
      next_strip.fetch();
      next_strip.fetch();
      add_columns<0>(masks, values, x, quad, chains);
      add_columns<2>(masks + 4, values + 2 * __builtin_popcountll(four & 0xffffffffu), x, quad, chains);
      values += 2 * __builtin_popcountll(four);
    }
    for (int t = 0; t < T; ++t) {
      V::store(out + static_cast<std::size_t>(t) * out_stride,
               V::add(V::add(chains[t][0], chains[t][1]), V::add(chains[t][2], chains[t][3])));
    }
  }
};

/// For a number of tokens 1 … T that is known at run time.
template <class V, int T>
void bitmask_bf16_strip(int n_tokens, const StripPlace& strip, std::size_t cols, const float* const* x, float* out,
                        std::size_t out_stride) {
  if constexpr (T > 1) {
    if (n_tokens < T) return bitmask_bf16_strip<V, T - 1>(n_tokens, strip, cols, x, out, out_stride);
  }
  BitmaskBf16Strip<V, T>::run(strip, cols, x, out, out_stride);
}

template <class V>
void multiply_bitmask_bf16_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                                  const Activations& activations, int n_tokens, float* out, std::size_t out_stride) {
  constexpr int kTokens = V::kFewTokens;  // four chains each
  for (std::uint32_t s = first; s < last; ++s) {
    for (int token = 0; token < n_tokens; token += kTokens) {
      const int count = n_tokens - token < kTokens ? n_tokens - token : kTokens;
      const float* x[kTokens];
      for (int t = 0; t < count; ++t) {
        const int row = activations.rows != nullptr ? activations.rows[token + t] : token + t;
        x[t] = activations.values + static_cast<std::size_t>(row) * activations.stride;
      }
      bitmask_bf16_strip<V, kTokens>(count, strip_place(matrix, s), matrix.cols, x,
                                     out + static_cast<std::size_t>(token) * out_stride + std::size_t{s} * kStripRows, out_stride);
    }
  }
}

}  // namespace colonnade::engine
