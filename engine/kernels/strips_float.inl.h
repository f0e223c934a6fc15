// Multiplication of strips with fp32 activations: formats f32 and bf16.
//
// Order of additions for every (row, token): four chains, chain c takes the columns with column % 4 == c in ascending
// order by fma, result (c0 + c1) + (c2 + c3). How many chains, tokens and strips are in registers at once is a matter
// of speed and changes no bit.
#pragma once

#include "engine/formats/strip_layout.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/quad_sources.inl.h"

namespace colonnade::engine {

/// One strip, or several at one distance from each other.
struct StripRun {
  const std::byte* first;
  std::size_t distance;  // bytes
  std::size_t ahead;     // of several: what lies so many bytes further is fetched meanwhile
};

/// Token block `block` (counting from 0) of `count` strips fetches strip number `block` of those that come next; later
/// blocks fetch what is in the cache already.
[[gnu::always_inline]] inline StripRun several_strips(const std::byte* base, const std::uint64_t* offsets, int count,
                                                      int block) {
  const std::size_t distance = offsets[1] - offsets[0];
  return {base + offsets[0], distance, block < count ? static_cast<std::size_t>(count + block) * distance : 0};
}

/// Activations that are kept in the L2 cache while all strips pass by.
inline constexpr std::size_t kResidentActivationBytes = 512 * 1024;

/// Tokens of one pass over the strips, whole blocks of them: about as many as stay resident, in passes of equal length,
/// because each pass unpacks or reads all strips again, also one of a few tokens.
[[gnu::always_inline]] inline int tokens_of_pass(int n_tokens, std::size_t token_bytes, int block) {
  const int resident = static_cast<int>(kResidentActivationBytes / token_bytes);
  const int passes = resident < block ? (n_tokens + block - 1) / block : (n_tokens + resident / 2) / resident;
  const int tokens = passes > 1 ? (n_tokens + passes - 1) / passes : n_tokens;
  return (tokens + block - 1) / block * block;
}

template <class V>
struct F32Weights {
  static constexpr std::size_t kBytes = 4 * kF32ColumnBytes;  // of 4 columns
  template <int Column>
  [[gnu::always_inline]] static inline typename V::F load(const std::byte* p) {
    return V::load(reinterpret_cast<const float*>(p) + Column * kStripRows);
  }
};

template <class V>
struct Bf16Weights {
  static constexpr std::size_t kBytes = 2 * kBf16PairBytes;
  template <int Column>
  [[gnu::always_inline]] static inline typename V::F load(const std::byte* p) {
    return V::template load_bf16_pair<Column % 2 == 1>(p + Column / 2 * kBf16PairBytes);
  }
};

/// S strips times T tokens, C chains at a time (a divisor of 4).
template <class V, template <class> class Weights, int S, int T, int C>
struct FloatBlock {
  using F = typename V::F;
  using W = Weights<V>;

  template <int Column>
  [[gnu::always_inline]] static inline void multiply_column(const std::byte* at, std::size_t distance,
                                                            const float* const* x, std::size_t col,
                                                            F (&chains)[S][T][C]) {
    F weights[S];
    for (int s = 0; s < S; ++s) {
      weights[s] = W::template load<Column>(at + static_cast<std::size_t>(s) * distance);
    }
    for (int t = 0; t < T; ++t) {
      const F activation = V::set(x[t][col + Column]);
      for (int s = 0; s < S; ++s) {
        chains[s][t][Column % C] = V::fma(weights[s], activation, chains[s][t][Column % C]);
      }
    }
  }

  /// Chains First … First + C - 1 over all columns.
  template <int First>
  [[gnu::always_inline]] static inline void pass(const StripRun& strips, std::size_t n_quads, const float* const* x,
                                                 F (&chains)[S][T][C]) {
    for (int s = 0; s < S; ++s) {
      for (int t = 0; t < T; ++t) {
        for (int c = 0; c < C; ++c) chains[s][t][c] = V::zero();
      }
    }
    const std::byte* at = strips.first;
    for (std::size_t quad = 0; quad < n_quads; ++quad, at += W::kBytes) {
      if constexpr (S == 1 && C == 4) {
        for (std::size_t line = 0; line < W::kBytes; line += 64) __builtin_prefetch(at + kPrefetchBytes + line);
      }
      if constexpr (S > 1 && First == 0) {
        for (std::size_t line = 0; line < W::kBytes; line += 64) __builtin_prefetch(at + strips.ahead + line, 0, 2);
      }
      multiply_column<First>(at, strips.distance, x, 4 * quad, chains);
      if constexpr (C >= 2) multiply_column<First + 1>(at, strips.distance, x, 4 * quad, chains);
      if constexpr (C >= 4) multiply_column<First + 2>(at, strips.distance, x, 4 * quad, chains);
      if constexpr (C >= 4) multiply_column<First + 3>(at, strips.distance, x, 4 * quad, chains);
    }
  }

  static void run(const StripRun& strips, std::size_t n_quads, const float* const* x, float* out,
                  std::size_t out_stride) {
    F chains[S][T][C];
    if constexpr (C == 4) {
      pass<0>(strips, n_quads, x, chains);
      for (int s = 0; s < S; ++s) {
        for (int t = 0; t < T; ++t) {
          const F low = V::add(chains[s][t][0], chains[s][t][1]);
          const F high = V::add(chains[s][t][2], chains[s][t][3]);
          V::store(out + static_cast<std::size_t>(t) * out_stride + s * kStripRows, V::add(low, high));
        }
      }
    } else {
      static_assert(C == 2);
      pass<0>(strips, n_quads, x, chains);
      for (int s = 0; s < S; ++s) {
        for (int t = 0; t < T; ++t) {
          V::store(out + static_cast<std::size_t>(t) * out_stride + s * kStripRows,
                   V::add(chains[s][t][0], chains[s][t][1]));
        }
      }
      pass<2>(strips, n_quads, x, chains);
      for (int s = 0; s < S; ++s) {
        for (int t = 0; t < T; ++t) {
          float* to = out + static_cast<std::size_t>(t) * out_stride + s * kStripRows;
          V::store(to, V::add(V::load(to), V::add(chains[s][t][0], chains[s][t][1])));
        }
      }
    }
  }
};

/// FloatBlock for a number of tokens 1 … T that is known at run time.
template <class V, template <class> class Weights, int S, int T, int C>
void float_block(int n_tokens, const StripRun& strips, std::size_t n_quads, const float* const* x, float* out,
                 std::size_t out_stride) {
  if constexpr (T > 1) {
    if (n_tokens < T) {
      float_block<V, Weights, S, T - 1, C>(n_tokens, strips, n_quads, x, out, out_stride);
      return;
    }
  }
  FloatBlock<V, Weights, S, T, C>::run(strips, n_quads, x, out, out_stride);
}

template <class V, template <class> class Weights>
void multiply_float_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                           const Activations& activations, int n_tokens, float* out, std::size_t out_stride) {
  const std::size_t n_quads = (static_cast<std::size_t>(matrix.cols) + 3) / 4;
  constexpr int kMost = V::kFewTokens > V::kFloatTokens ? V::kFewTokens : V::kFloatTokens;
  const float* x[kMost];
  auto point_at = [&](int token, int count) {
    for (int t = 0; t < count; ++t) {
      const int row = activations.rows != nullptr ? activations.rows[token + t] : token + t;
      x[t] = activations.values + static_cast<std::size_t>(row) * activations.stride;
    }
  };
  const std::uint64_t* offsets = matrix.strip_offsets;

  if (n_tokens <= V::kFewTokens) {
    if (n_tokens < 1) return;
    point_at(0, n_tokens);
    for (std::uint32_t s = first; s < last; ++s) {
      float_block<V, Weights, 1, V::kFewTokens, 4>(n_tokens, {matrix.base + offsets[s], 0, 0}, n_quads, x,
                                                   out + static_cast<std::size_t>(s) * kStripRows, out_stride);
    }
    return;
  }

  const std::size_t token_bytes = (n_quads + 1) * 4 * sizeof(float);
  const int chunk = tokens_of_pass(n_tokens, token_bytes, V::kFloatTokens);
  for (int begin = 0; begin < n_tokens; begin += chunk) {
    const int end = begin + chunk < n_tokens ? begin + chunk : n_tokens;
    std::uint32_t s = first;
    while (s < last) {
      // Two strips at once where there are two.
      const bool several = V::kFloatStrips > 1 && last - s >= static_cast<std::uint32_t>(V::kFloatStrips);
      for (int token = begin; token < end; token += V::kFloatTokens) {
        const int count = end - token < V::kFloatTokens ? end - token : V::kFloatTokens;
        point_at(token, count);
        float* to = out + static_cast<std::size_t>(token) * out_stride + static_cast<std::size_t>(s) * kStripRows;
        if (several) {
          const int block = (token - begin) / V::kFloatTokens;
          float_block<V, Weights, V::kFloatStrips, V::kFloatTokens, V::kFloatChains>(
              count, several_strips(matrix.base, offsets + s, V::kFloatStrips, block), n_quads, x, to, out_stride);
        } else {
          float_block<V, Weights, 1, V::kFloatTokens, V::kFloatChains>(count, {matrix.base + offsets[s], 0, 0}, n_quads,
                                                                       x, to, out_stride);
        }
      }
      s += several ? static_cast<std::uint32_t>(V::kFloatStrips) : 1;
    }
  }
}

}  // namespace colonnade::engine
