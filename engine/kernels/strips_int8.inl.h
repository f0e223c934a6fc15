// Multiplication of quads (see quad_sources.inl.h) with int8 activations: formats int8, int4, bitmask-int8, bitmask-int4.
//
// For every (row, token): per activation group an exact integer, -128 times the sum of the activations plus the dot
// product of (weight + 128) with them; then acc = fma(float(integer), scale, acc) over ascending groups. The scale is the
// activations' one, times the weights' of the group where there is one; else acc * row scale at the end. Integers are
// exact, so their order is free. Few tokens walk through the packed strip; for many it becomes quads in the cache once.
#pragma once

#include "engine/formats/strip_layout.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/quad_sources.inl.h"
#include "engine/kernels/strips_float.inl.h"

namespace colonnade::engine {

/// The rows of T tokens.
template <int T>
struct Int8Tokens {
  const std::int8_t* q8[T];
  const float* scales[T];
  const std::int32_t* sums[T];
};

template <int T>
[[gnu::always_inline]] inline Int8Tokens<T> int8_tokens(const Activations& activations, int first) {
  Int8Tokens<T> x;
  for (int t = 0; t < T; ++t) {
    const auto row = static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[first + t] : first + t);
    x.q8[t] = activations.q8 + row * activations.q8_stride;
    x.scales[t] = activations.scales + row * activations.group_stride;
    x.sums[t] = activations.sums + row * activations.group_stride;
  }
  return x;
}

/// One strip straight from its source, T tokens.
template <class V, class Source, int T>
struct StreamedStrip {
  using F = typename V::F;
  using I = typename V::I;

  // Integer chains per token: some 8 sums in flight hide the latency of the dot product.
  static constexpr int kChains = T >= 6 ? 1 : (T >= 3 ? 2 : 4);

  template <int Chain>
  [[gnu::always_inline]] static inline void multiply(const typename V::Raw& raw, const Int8Tokens<T>& x, std::size_t quad,
                                                     I (&sums)[T][kChains]) {
    const typename V::Bytes weights = V::widen_bytes(raw);
    for (int t = 0; t < T; ++t)
      sums[t][Chain] = V::dot(sums[t][Chain], weights, V::load_quad(x.q8[t] + quad * kInt8ColumnGranule));
  }

  [[gnu::always_inline]] static inline void start(const Int8Tokens<T>& x, std::size_t group, I (&sums)[T][kChains]) {
    for (int t = 0; t < T; ++t) {
      sums[t][0] = V::set_i(-kInt8Zero * x.sums[t][group]);
      for (int c = 1; c < kChains; ++c) sums[t][c] = V::zero_i();
    }
  }

  [[gnu::always_inline]] static inline I total(const I (&sums)[kChains]) {
    if constexpr (kChains == 1) return sums[0];
    else if constexpr (kChains == 2) return V::add_i(sums[0], sums[1]);
    else return V::add_i(V::add_i(sums[0], sums[1]), V::add_i(sums[2], sums[3]));
  }

  [[gnu::always_inline]] static inline void add_group(Source& source, const Int8Tokens<T>& x, std::size_t group,
                                                      std::uint32_t n_quads, F (&acc)[T]) {
    I sums[T][kChains];
    start(x, group, sums);
    const std::size_t first = group * kGroupQuads;
    std::uint32_t quad = 0;
    for (; quad + 4 <= n_quads; quad += 4) {
      multiply<0>(source.next(), x, first + quad, sums);
      multiply<1 % kChains>(source.next(), x, first + quad + 1, sums);
      multiply<2 % kChains>(source.next(), x, first + quad + 2, sums);
      multiply<3 % kChains>(source.next(), x, first + quad + 3, sums);
    }
    for (; quad < n_quads; ++quad) multiply<0>(source.next(), x, first + quad, sums);
    for (int t = 0; t < T; ++t) acc[t] = V::fma(V::to_float(total(sums[t])), V::set(x.scales[t][group]), acc[t]);
  }

  /// Pairs of quads: of two groups side by side, or the halves of one.
  [[gnu::always_inline]] static inline void multiply_pairs(Source& source, const Int8Tokens<T>& x, std::size_t first, std::size_t second,
                                                           std::size_t count, I (&first_sums)[T][kChains], I (&second_sums)[T][kChains]) {
    for (std::size_t quad = 0; quad < count; quad += 2) {
      typename V::Raw a, b;
      source.next(a, b);
      multiply<0>(a, x, first + quad, first_sums);
      multiply<0>(b, x, second + quad, second_sums);
      source.next(a, b);
      multiply<1 % kChains>(a, x, first + quad + 1, first_sums);
      multiply<1 % kChains>(b, x, second + quad + 1, second_sums);
    }
  }

  [[gnu::always_inline]] static inline void add_block(Source& source, const Int8Tokens<T>& x, std::size_t group, F (&acc)[T]) {
    I sums[2][T][kChains];
    start(x, group, sums[0]);
    start(x, group + 1, sums[1]);
    multiply_pairs(source, x, group * kGroupQuads, (group + 1) * kGroupQuads, kGroupQuads, sums[0], sums[1]);
    const F first_scale = source.template scale<0>(), second_scale = source.template scale<1>();
    source.end_block();
    for (int t = 0; t < T; ++t) {
      const F scale = V::mul(first_scale, V::set(x.scales[t][group] * kInt4Factor));
      acc[t] = V::fma(V::to_float(total(sums[0][t])), scale, acc[t]);
      const F second = V::mul(second_scale, V::set(x.scales[t][group + 1] * kInt4Factor));
      acc[t] = V::fma(V::to_float(total(sums[1][t])), second, acc[t]);
    }
  }

  [[gnu::always_inline]] static inline void add_half_block(Source& source, const Int8Tokens<T>& x, std::size_t group, F (&acc)[T]) {
    I sums[T][kChains];
    start(x, group, sums);
    source.begin_half_block();
    multiply_pairs(source, x, group * kGroupQuads, group * kGroupQuads + kGroupQuads / 2, kGroupQuads / 2, sums, sums);
    for (int t = 0; t < T; ++t) {
      const F scale = V::mul(source.half_block_scale(), V::set(x.scales[t][group] * kInt4Factor));
      acc[t] = V::fma(V::to_float(total(sums[t])), scale, acc[t]);
    }
  }

  static void run(const StripPlace& strip, std::size_t cols, const Int8Tokens<T>& x, bool add, float* out, std::size_t out_stride) {
    Source source(strip, cols);
    F acc[T];
    for (int t = 0; t < T; ++t) acc[t] = V::zero();
    const std::size_t groups = (cols + kActivationGroup - 1) / kActivationGroup;
    if constexpr (Source::kPaired) {
      for (std::size_t group = 0; group + 1 < groups; group += 2) add_block(source, x, group, acc);
      if (groups % 2 != 0) add_half_block(source, x, groups - 1, acc);
    } else {
      const std::size_t full = cols / kActivationGroup;
      for (std::size_t group = 0; group < full; ++group) add_group(source, x, group, kGroupQuads, acc);
      const auto rest = static_cast<std::uint32_t>((cols % kActivationGroup + kInt8ColumnGranule - 1) / kInt8ColumnGranule);
      if (rest > 0) add_group(source, x, full, rest, acc);
    }
    for (int t = 0; t < T; ++t) {
      if constexpr (!Source::kGroupScales) acc[t] = V::mul(acc[t], V::load(reinterpret_cast<const float*>(strip.at)));
      float* const to = out + static_cast<std::size_t>(t) * out_stride;
      V::store(to, add ? V::add(V::load(to), acc[t]) : acc[t]);
    }
  }
};

/// StreamedStrip for a number of tokens 1 … T that is known at run time.
template <class V, class Source, int T>
void stream_strip(int n_tokens, const StripPlace& strip, std::size_t cols, const Activations& activations, bool add, float* out,
                  std::size_t out_stride) {
  if constexpr (T > 1) {
    if (n_tokens < T) return stream_strip<V, Source, T - 1>(n_tokens, strip, cols, activations, add, out, out_stride);
  }
  StreamedStrip<V, Source, T>::run(strip, cols, int8_tokens<T>(activations, 0), add, out, out_stride);
}

/// Quads of up to S strips over the same columns, in memory. `scales` is (group, strip, lane) where weights have group
/// scales (already times kInt4Factor), else nullptr; row_scales then follow each other at the distance of the strips'
/// headers.
struct QuadRun {
  const std::byte* quads;       // of the first group
  std::size_t distance;         // bytes from strip to strip
  std::size_t ahead;            // what lies so many bytes further is fetched meanwhile; 0: nothing
  std::size_t first_group, n_groups;
  std::uint32_t last_quads;     // of the last group
  const float* scales;
  const std::byte* row_scales;  // nullptr unless these are the last columns
  bool first_columns;           // else what `out` holds is continued
  bool add;                     // of all columns: to what `out` holds
};

/// S strips times T tokens.
template <class V, int S, int T>
struct Int8Block {
  using F = typename V::F;
  using I = typename V::I;
  static constexpr int kChains = S * T >= 6 ? 1 : (S * T >= 3 ? 2 : 4);

  template <int Chain>
  [[gnu::always_inline]] static inline void multiply_quad(const std::byte* at, const QuadRun& run, const Int8Tokens<T>& x,
                                                          std::size_t quad, I (&sums)[S][T][kChains]) {
    if (S > 1) __builtin_prefetch(at + run.ahead, 0, 2);
    typename V::Bytes weights[S];
    for (int s = 0; s < S; ++s) weights[s] = V::load_bytes(at + static_cast<std::size_t>(s) * run.distance);
    for (int t = 0; t < T; ++t) {
      const typename V::Quad activation = V::load_quad(x.q8[t] + quad * kInt8ColumnGranule);
      for (int s = 0; s < S; ++s) sums[s][t][Chain] = V::dot(sums[s][t][Chain], weights[s], activation);
    }
  }

  [[gnu::always_inline]] static inline void add_group(const std::byte* at, const QuadRun& run, const Int8Tokens<T>& x,
                                                      std::size_t group, std::uint32_t n_quads, F (&acc)[S][T]) {
    I sums[S][T][kChains];
    for (int s = 0; s < S; ++s) {
      for (int t = 0; t < T; ++t) {
        sums[s][t][0] = V::set_i(-kInt8Zero * x.sums[t][group]);
        for (int c = 1; c < kChains; ++c) sums[s][t][c] = V::zero_i();
      }
    }
    const std::size_t first = group * kGroupQuads;
    std::uint32_t quad = 0;
    for (; quad + 4 <= n_quads; quad += 4, at += 4 * kInt8QuadBytes) {
      multiply_quad<0>(at, run, x, first + quad, sums);
      multiply_quad<1 % kChains>(at + kInt8QuadBytes, run, x, first + quad + 1, sums);
      multiply_quad<2 % kChains>(at + 2 * kInt8QuadBytes, run, x, first + quad + 2, sums);
      multiply_quad<3 % kChains>(at + 3 * kInt8QuadBytes, run, x, first + quad + 3, sums);
    }
    for (; quad < n_quads; ++quad, at += kInt8QuadBytes) multiply_quad<0>(at, run, x, first + quad, sums);
    const float* scales = run.scales == nullptr ? nullptr : run.scales + (group - run.first_group) * S * kStripRows;
    for (int t = 0; t < T; ++t) {
      const F activation_scale = V::set(x.scales[t][group]);
      for (int s = 0; s < S; ++s) {
        I total = sums[s][t][0];
        if constexpr (kChains == 2) total = V::add_i(total, sums[s][t][1]);
        if constexpr (kChains == 4) total = V::add_i(V::add_i(total, sums[s][t][1]), V::add_i(sums[s][t][2], sums[s][t][3]));
        const F scale = scales == nullptr ? activation_scale : V::mul(V::load(scales + s * kStripRows), activation_scale);
        acc[s][t] = V::fma(V::to_float(total), scale, acc[s][t]);
      }
    }
  }

  static void multiply(const QuadRun& run, const Int8Tokens<T>& x, float* out, std::size_t out_stride) {
    F acc[S][T];
    for (int s = 0; s < S; ++s)
      for (int t = 0; t < T; ++t)
        acc[s][t] = run.first_columns ? V::zero() : V::load(out + static_cast<std::size_t>(t) * out_stride + s * kStripRows);
    const std::byte* at = run.quads;
    const std::size_t end = run.first_group + run.n_groups;
    for (std::size_t group = run.first_group; group + 1 < end; ++group, at += kGroupBytes)
      add_group(at, run, x, group, kGroupQuads, acc);
    if (run.n_groups > 0) add_group(at, run, x, end - 1, run.last_quads, acc);
    for (int s = 0; s < S; ++s) {
      for (int t = 0; t < T; ++t) {
        F result = acc[s][t];
        if (run.row_scales != nullptr)
          result = V::mul(result, V::load(reinterpret_cast<const float*>(run.row_scales + static_cast<std::size_t>(s) * run.distance)));
        float* const to = out + static_cast<std::size_t>(t) * out_stride + s * kStripRows;
        V::store(to, run.add ? V::add(V::load(to), result) : result);
      }
    }
  }
};

/// Int8Block for a number of tokens 1 … T that is known at run time; `token` is the first.
template <class V, int S, int T>
void int8_block(int n_tokens, const QuadRun& run, const Activations& activations, int token, float* out,
                std::size_t out_stride) {
  if constexpr (T > 1) {
    if (n_tokens < T) return int8_block<V, S, T - 1>(n_tokens, run, activations, token, out, out_stride);
  }
  Int8Block<V, S, T>::multiply(run, int8_tokens<T>(activations, token), out, out_stride);
}

/// All of `n_tokens` tokens from `token` on, a block at a time.
template <class V, int S>
void int8_tokens_blocks(QuadRun run, const Activations& activations, int token, int n_tokens, float* out,
                        std::size_t out_stride) {
  const std::size_t strip_bytes = run.ahead;
  for (int begin = 0, block = 0; begin < n_tokens; begin += V::kInt8Tokens, ++block) {
    const int count = n_tokens - begin < V::kInt8Tokens ? n_tokens - begin : V::kInt8Tokens;
    // Token block b fetches strip number b of those that come next; later blocks what is in the cache already.
    run.ahead = block < S ? static_cast<std::size_t>(S + block) * strip_bytes : 0;
    int8_block<V, S, V::kInt8Tokens>(count, run, activations, token + begin, out + static_cast<std::size_t>(begin) * out_stride,
                                     out_stride);
  }
}

/// The groups of columns that S strips are unpacked for at a time: 32 KiB of quads with two strips stay in L1 or L2.
inline constexpr std::size_t kUnpackedGroups = 16;
static_assert(kUnpackedGroups * kActivationGroup >= kMostAddedColumns);

/// S strips become quads in the cache, some groups at a time, and are multiplied with all tokens.
template <class V, class Source, int S>
void multiply_unpacked(const MatrixView& matrix, std::uint32_t strip, const Activations& activations, int token,
                       int n_tokens, bool add, float* out, std::size_t out_stride) {
  alignas(64) std::byte quads[S][kInt8HeaderBytes + kUnpackedGroups * kGroupBytes];
  alignas(64) float scales[kUnpackedGroups][S][kStripRows];
  const std::size_t cols = matrix.cols, groups = (cols + kActivationGroup - 1) / kActivationGroup;
  // What next() gives for the columns past the end, but in whole groups: activations are zero there.
  Source sources[2] = {Source(strip_place(matrix, strip), cols), Source(strip_place(matrix, strip + S - 1), cols)};
  for (std::size_t first = 0; first < groups; first += kUnpackedGroups) {
    const std::size_t count = groups - first < kUnpackedGroups ? groups - first : kUnpackedGroups;
    for (int s = 0; s < S; ++s) {
      Source& source = sources[s];
      std::byte* to = quads[s] + kInt8HeaderBytes;
      if constexpr (Source::kPaired) {
        const auto store_pairs = [&](std::size_t n_pairs) {
          for (std::size_t quad = 0; quad < n_pairs; ++quad, to += kInt8QuadBytes) {
            typename V::Raw a, b;
            source.next(a, b);
            V::raw_store(to, a);
            V::raw_store(to + n_pairs * kInt8QuadBytes, b);
          }
          to += n_pairs * kInt8QuadBytes;
        };
        for (std::size_t g = 0; g + 1 < count; g += 2) {
          store_pairs(kGroupQuads);
          V::store(scales[g][s], V::mul(source.template scale<0>(), V::set(kInt4Factor)));
          V::store(scales[g + 1][s], V::mul(source.template scale<1>(), V::set(kInt4Factor)));
          source.end_block();
        }
        if (count % 2 != 0) {
          source.begin_half_block();
          store_pairs(kGroupQuads / 2);
          V::store(scales[count - 1][s], V::mul(source.half_block_scale(), V::set(kInt4Factor)));
        }
      } else {
        for (std::size_t quad = 0; quad < count * kGroupQuads; ++quad) V::raw_store(to + quad * kInt8QuadBytes, source.next());
        std::memcpy(quads[s], matrix.strip(strip + static_cast<std::uint32_t>(s)), kInt8HeaderBytes);
      }
    }
    const bool last = first + count == groups;
    const QuadRun run = {quads[0] + kInt8HeaderBytes, sizeof(quads[0]), 0, first, count, kGroupQuads,
                         Source::kGroupScales ? scales[0][0] : nullptr,
                         last && !Source::kGroupScales ? quads[0] : nullptr, first == 0, add};
    int8_tokens_blocks<V, S>(run, activations, token, n_tokens, out, out_stride);
  }
}

/// Dense int8 strips are quads already.
template <class V, int S>
void multiply_in_place(const std::byte* base, const std::uint64_t* offsets, std::size_t cols, const Activations& activations,
                       int token, int n_tokens, bool add, float* out, std::size_t out_stride) {
  const std::size_t groups = (cols + kActivationGroup - 1) / kActivationGroup;
  const auto last_quads =
      static_cast<std::uint32_t>((cols - (groups - 1) * kActivationGroup + kInt8ColumnGranule - 1) / kInt8ColumnGranule);
  const std::byte* strip = base + offsets[0];
  const std::size_t distance = offsets[1] - offsets[0];
  const QuadRun run = {strip + kInt8HeaderBytes, distance, S > 1 ? distance : 0, 0, groups, last_quads, nullptr, strip, true, add};
  int8_tokens_blocks<V, S>(run, activations, token, n_tokens, out, out_stride);
}

template <class V, template <class> class SourceOf, bool Add>
void multiply_int8_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                          const Activations& activations, int n_tokens, float* out, std::size_t out_stride) {
  using Source = SourceOf<V>;
  constexpr bool kInPlace = std::is_same_v<Source, Int8Source<V>>;
  const std::size_t cols = matrix.cols;
  const std::uint64_t* offsets = matrix.strip_offsets;
  if (n_tokens < 1) return;
  if (n_tokens <= V::kFewInt8Tokens) {
    for (std::uint32_t s = first; s < last; ++s) {
      stream_strip<V, Source, V::kFewInt8Tokens>(n_tokens, strip_place(matrix, s), cols, activations, Add,
                                                 out + static_cast<std::size_t>(s) * kStripRows, out_stride);
    }
    return;
  }

  const int chunk = tokens_of_pass(n_tokens, cols + 64, V::kInt8Tokens);
  for (int begin = 0; begin < n_tokens; begin += chunk) {
    const int count = n_tokens - begin < chunk ? n_tokens - begin : chunk;
    std::uint32_t s = first;
    while (s < last) {
      const bool several = V::kInt8Strips > 1 && last - s >= 2;
      float* to = out + static_cast<std::size_t>(begin) * out_stride + static_cast<std::size_t>(s) * kStripRows;
      const auto go = [&]<int S>() {
        if constexpr (kInPlace)
          multiply_in_place<V, S>(matrix.base, offsets + s, cols, activations, begin, count, Add, to, out_stride);
        else
          multiply_unpacked<V, Source, S>(matrix, s, activations, begin, count, Add, to, out_stride);
      };
      if (several) go.template operator()<V::kInt8Strips>();
      else go.template operator()<1>();
      s += several ? static_cast<std::uint32_t>(V::kInt8Strips) : 1;
    }
  }
}

}  // namespace colonnade::engine
