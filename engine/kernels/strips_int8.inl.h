// Multiplication of int8 strips with int8 activations.
//
// For every (row, token): per activation group an exact integer, -128 times the sum of the activations plus the dot
// product of (weight + 128) with them; then acc = fma(float(integer), activation scale, acc) over ascending groups; at
// the end acc * row scale. Integers are exact, so their order is free.
#pragma once

#include "engine/formats/strip_layout.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/strips_float.inl.h"

namespace colonnade::engine {

/// The rows of T tokens.
template <int T>
struct Int8Tokens {
  const std::int8_t* q8[T];
  const float* scales[T];
  const std::int32_t* sums[T];
};

/// S strips times T tokens.
template <class V, int S, int T>
struct Int8Block {
  using F = typename V::F;
  using I = typename V::I;

  static constexpr std::size_t kQuadsPerGroup = kActivationGroup / kInt8ColumnGranule;
  // Integer chains per (strip, token): about 8 sums in flight hide the latency of the dot product.
  static constexpr int kChains = S * T >= 6 ? 1 : (S * T >= 3 ? 2 : 4);

  template <int Chain>
  [[gnu::always_inline]] static inline void multiply_quad(const std::byte* at, const StripRun& strips,
                                                          const std::int8_t* const* q8, std::size_t quad,
                                                          I (&sums)[S][T][kChains]) {
    // One strip is a stream that passes once; several are used by many tokens, and wait in L2.
    if constexpr (S == 1) {
      __builtin_prefetch(at + kPrefetchBytes);
    } else {
      __builtin_prefetch(at + strips.ahead, 0, 2);
    }
    typename V::Bytes weights[S];
    for (int s = 0; s < S; ++s) weights[s] = V::load_bytes(at + static_cast<std::size_t>(s) * strips.distance);
    for (int t = 0; t < T; ++t) {
      const typename V::Quad activation = V::load_quad(q8[t] + quad * kInt8ColumnGranule);
      for (int s = 0; s < S; ++s) sums[s][t][Chain] = V::dot(sums[s][t][Chain], weights[s], activation);
    }
  }

  /// Adds one group to the accumulators: a full one, or the last one of n_quads * 4 columns.
  template <bool Full>
  [[gnu::always_inline]] static inline void add_group(const std::byte* at, const StripRun& strips,
                                                      const Int8Tokens<T>& x, std::size_t group, std::size_t n_quads,
                                                      F (&acc)[S][T]) {
    I sums[S][T][kChains];
    for (int s = 0; s < S; ++s) {
      for (int t = 0; t < T; ++t) {
        sums[s][t][0] = V::set_i(-kInt8Zero * x.sums[t][group]);
        for (int c = 1; c < kChains; ++c) sums[s][t][c] = V::zero_i();
      }
    }
    const std::size_t first_quad = group * kQuadsPerGroup;
    std::size_t quad = 0;
    for (; quad + 4 <= n_quads; quad += 4, at += 4 * kInt8QuadBytes) {
      multiply_quad<0>(at, strips, x.q8, first_quad + quad, sums);
      multiply_quad<1 % kChains>(at + kInt8QuadBytes, strips, x.q8, first_quad + quad + 1, sums);
      multiply_quad<2 % kChains>(at + 2 * kInt8QuadBytes, strips, x.q8, first_quad + quad + 2, sums);
      multiply_quad<3 % kChains>(at + 3 * kInt8QuadBytes, strips, x.q8, first_quad + quad + 3, sums);
    }
    if constexpr (!Full) {
      for (; quad < n_quads; ++quad, at += kInt8QuadBytes) {
        multiply_quad<0>(at, strips, x.q8, first_quad + quad, sums);
      }
    }
    for (int t = 0; t < T; ++t) {
      const F scale = V::set(x.scales[t][group]);
      for (int s = 0; s < S; ++s) {
        I total = sums[s][t][0];
        if constexpr (kChains == 2) total = V::add_i(total, sums[s][t][1]);
        if constexpr (kChains == 4) {
          total = V::add_i(V::add_i(total, sums[s][t][1]), V::add_i(sums[s][t][2], sums[s][t][3]));
        }
        acc[s][t] = V::fma(V::to_float(total), scale, acc[s][t]);
      }
    }
  }

  static void run(const StripRun& strips, std::size_t cols, const Int8Tokens<T>& x, float* out,
                  std::size_t out_stride) {
    constexpr std::size_t kGroupBytes = kQuadsPerGroup * kInt8QuadBytes;
    F acc[S][T];
    for (int s = 0; s < S; ++s) {
      for (int t = 0; t < T; ++t) acc[s][t] = V::zero();
    }
    const std::byte* at = strips.first + kInt8HeaderBytes;
    const std::size_t full_groups = cols / kActivationGroup;
    for (std::size_t group = 0; group < full_groups; ++group, at += kGroupBytes) {
      add_group<true>(at, strips, x, group, kQuadsPerGroup, acc);
    }
    const std::size_t rest = (cols % kActivationGroup + kInt8ColumnGranule - 1) / kInt8ColumnGranule;
    if (rest > 0) add_group<false>(at, strips, x, full_groups, rest, acc);
    for (int s = 0; s < S; ++s) {
      const std::byte* header = strips.first + static_cast<std::size_t>(s) * strips.distance;
      const F row_scales = V::load(reinterpret_cast<const float*>(header));
      for (int t = 0; t < T; ++t) {
        V::store(out + static_cast<std::size_t>(t) * out_stride + s * kStripRows, V::mul(acc[s][t], row_scales));
      }
    }
  }
};

/// Int8Block for a number of tokens 1 … T that is known at run time; `token` is the first.
template <class V, int S, int T>
void int8_block(int n_tokens, const StripRun& strips, std::size_t cols, const Activations& activations, int token,
                float* out, std::size_t out_stride) {
  if constexpr (T > 1) {
    if (n_tokens < T) {
      int8_block<V, S, T - 1>(n_tokens, strips, cols, activations, token, out, out_stride);
      return;
    }
  }
  Int8Tokens<T> x;
  for (int t = 0; t < T; ++t) {
    const auto row = static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[token + t] : token + t);
    x.q8[t] = activations.q8 + row * activations.q8_stride;
    x.scales[t] = activations.scales + row * activations.group_stride;
    x.sums[t] = activations.sums + row * activations.group_stride;
  }
  Int8Block<V, S, T>::run(strips, cols, x, out, out_stride);
}

template <class V>
void multiply_int8_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                          const Activations& activations, int n_tokens, float* out, std::size_t out_stride) {
  const std::size_t cols = matrix.cols;
  const std::uint64_t* offsets = matrix.strip_offsets;
  if (n_tokens <= V::kFewInt8Tokens) {
    if (n_tokens < 1) return;
    for (std::uint32_t s = first; s < last; ++s) {
      int8_block<V, 1, V::kFewInt8Tokens>(n_tokens, {matrix.base + offsets[s], 0, 0}, cols, activations, 0,
                                          out + static_cast<std::size_t>(s) * kStripRows, out_stride);
    }
    return;
  }

  const int resident = static_cast<int>(kResidentActivationBytes / (cols + 64)) / V::kInt8Tokens * V::kInt8Tokens;
  const int chunk = resident > V::kInt8Tokens ? resident : V::kInt8Tokens;
  for (int begin = 0; begin < n_tokens; begin += chunk) {
    const int end = begin + chunk < n_tokens ? begin + chunk : n_tokens;
    std::uint32_t s = first;
    while (s < last) {
      const bool several = V::kInt8Strips > 1 && last - s >= static_cast<std::uint32_t>(V::kInt8Strips);
      for (int token = begin; token < end; token += V::kInt8Tokens) {
        const int count = end - token < V::kInt8Tokens ? end - token : V::kInt8Tokens;
        float* to = out + static_cast<std::size_t>(token) * out_stride + static_cast<std::size_t>(s) * kStripRows;
        if (several) {
          const int block = (token - begin) / V::kInt8Tokens;
          int8_block<V, V::kInt8Strips, V::kInt8Tokens>(
              count, several_strips(matrix.base, offsets + s, V::kInt8Strips, block), cols, activations, token, to,
              out_stride);
        } else {
          int8_block<V, 1, V::kInt8Tokens>(count, {matrix.base + offsets[s], 0, 0}, cols, activations, token, to,
                                           out_stride);
        }
      }
      s += several ? static_cast<std::uint32_t>(V::kInt8Strips) : 1;
    }
  }
}

}  // namespace colonnade::engine
