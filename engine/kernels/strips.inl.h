// Multiplication of strips by rows of activations, written once over the vector type V of an instruction set. Included
// only by kernels_<isa>.cc; uses no inline function of other headers, so that no code of one instruction set can
// stand in for another's.
#pragma once

#include "engine/formats/strip_layout.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {

template <typename V>
struct Strips {
  using F = typename V::F;
  using I = typename V::I;

  /// Bytes ahead of the reader: far enough for DRAM (about 100 ns at 30 GB/s), near enough to stay in L1.
  static constexpr std::size_t kPrefetchBytes = 4096;

  static const std::byte* strip_of(const MatrixView& matrix, std::uint32_t s) { return matrix.base + matrix.strip_offsets[s]; }
  static std::size_t row_of(const Activations& x, int token) {
    return static_cast<std::size_t>(x.rows != nullptr ? x.rows[token] : token);
  }

  // ---- f32 and bf16: four chains by column mod 4, (c0 + c1) + (c2 + c3) ----

  struct F32Columns {
    static constexpr std::size_t kQuadBytes = 4 * kF32ColumnBytes;
    template <int K>
    static F column(const std::byte* quad) { return V::load(reinterpret_cast<const float*>(quad + K * kF32ColumnBytes)); }
  };
  struct Bf16Columns {
    static constexpr std::size_t kQuadBytes = 2 * kBf16PairBytes;
    template <int K>
    static F column(const std::byte* quad) {
      const std::byte* const pair = quad + K / 2 * kBf16PairBytes;
      return K % 2 == 0 ? V::bf16_low(pair) : V::bf16_high(pair);
    }
  };

  template <typename Columns, int T>
  static void float_block(const std::byte* strip, std::size_t cols, const float* const* x, float* const* out) {
    F sum[T][4];
    for (int t = 0; t < T; ++t)
      for (int k = 0; k < 4; ++k) sum[t][k] = V::zero();
    const auto chain = [&]<int K>(const std::byte* quad, std::size_t col) {
      const F weights = Columns::template column<K>(quad);
      for (int t = 0; t < T; ++t) sum[t][K] = V::fma(weights, V::set(x[t][col + K]), sum[t][K]);
    };
    std::size_t col = 0;
    for (; col + 4 <= cols; col += 4, strip += Columns::kQuadBytes) {
      if constexpr (T == 1) {
        for (std::size_t line = 0; line < Columns::kQuadBytes; line += 64)
          __builtin_prefetch(strip + kPrefetchBytes + line);
      }
      chain.template operator()<0>(strip, col);
      chain.template operator()<1>(strip, col);
      chain.template operator()<2>(strip, col);
      chain.template operator()<3>(strip, col);
    }
    if (col + 0 < cols) chain.template operator()<0>(strip, col);
    if (col + 1 < cols) chain.template operator()<1>(strip, col);
    if (col + 2 < cols) chain.template operator()<2>(strip, col);
    for (int t = 0; t < T; ++t) V::store(out[t], V::add(V::add(sum[t][0], sum[t][1]), V::add(sum[t][2], sum[t][3])));
  }

  template <typename Columns>
  static void floats(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& x, int n_tokens,
                     float* out, std::size_t out_stride) {
    constexpr int T = V::kTokenBlock;
    for (std::uint32_t s = first; s < last; ++s) {
      const std::byte* const strip = strip_of(matrix, s);
      int token = 0;
      const auto block = [&]<int N>() {
        const float* rows[N];
        float* outs[N];
        for (int t = 0; t < N; ++t) {
          rows[t] = x.values + row_of(x, token + t) * x.stride;
          outs[t] = out + static_cast<std::size_t>(token + t) * out_stride + s * kStripRows;
        }
        float_block<Columns, N>(strip, matrix.cols, rows, outs);
        token += N;
      };
      if constexpr (T > 1) while (n_tokens - token >= T) block.template operator()<T>();
      if constexpr (T > 2) while (n_tokens - token >= 2) block.template operator()<2>();
      while (n_tokens - token >= 1) block.template operator()<1>();
    }
  }

  // ---- int8: exact integer sums a group, one fma a group, one row scale at the end ----

  struct Int8Row {
    const std::int8_t* q8;
    const float* scales;
    const std::int32_t* sums;
  };

  /// S strips × T tokens. Sums of groups are kept in `acc`, not in registers: they are touched once a group.
  template <int S, int T>
  static void int8_block(const std::byte* const* strips, std::size_t cols, const Int8Row* rows, float* const* out) {
    float acc[S][T][16];
    for (int s = 0; s < S; ++s)
      for (int t = 0; t < T; ++t) V::store(acc[s][t], V::zero());
    const std::byte* weights[S];
    for (int s = 0; s < S; ++s) weights[s] = strips[s] + kInt8HeaderBytes;
    std::size_t group = 0;
    for (std::size_t col = 0; col < cols; col += kActivationGroup, ++group) {
      const std::size_t end = col + kActivationGroup < cols ? col + kActivationGroup : cols;
      I sum[S][T];
      for (int s = 0; s < S; ++s)
        for (int t = 0; t < T; ++t) sum[s][t] = V::set_int(-kInt8Zero * rows[t].sums[group]);
      if constexpr (S == 1 && T == 1) {
        sum[0][0] = one_group(weights[0], rows[0].q8 + col, end - col, sum[0][0]);
        weights[0] += (end - col + 3) / 4 * kInt8QuadBytes;
      } else {
        for (std::size_t c = col; c < end; c += 4) {
          for (int s = 0; s < S; ++s) {
            for (int t = 0; t < T; ++t) sum[s][t] = V::dot4(sum[s][t], weights[s], rows[t].q8 + c);
            weights[s] += kInt8QuadBytes;
          }
        }
      }
      for (int s = 0; s < S; ++s)
        for (int t = 0; t < T; ++t)
          V::store(acc[s][t], V::fma(V::to_float(sum[s][t]), V::set(rows[t].scales[group]), V::load(acc[s][t])));
    }
    for (int s = 0; s < S; ++s) {
      const F scale = V::load(reinterpret_cast<const float*>(strips[s]));
      for (int t = 0; t < T; ++t) V::store(out[t] + s * kStripRows, V::mul(V::load(acc[s][t]), scale));
    }
  }

  /// One strip, one token: four chains hide the latency of the dot product.
  static I one_group(const std::byte* weights, const std::int8_t* q8, std::size_t cols, I start) {
    I chain[4] = {start, V::set_int(0), V::set_int(0), V::set_int(0)};
    std::size_t c = 0;
    for (; c + 16 <= cols; c += 16, weights += 4 * kInt8QuadBytes) {
      for (std::size_t k = 0; k < 4; ++k) {
        __builtin_prefetch(weights + kPrefetchBytes + k * kInt8QuadBytes);
        chain[k] = V::dot4(chain[k], weights + k * kInt8QuadBytes, q8 + c + 4 * k);
      }
    }
    for (; c < cols; c += 4, weights += kInt8QuadBytes) chain[0] = V::dot4(chain[0], weights, q8 + c);
    return V::add_int(V::add_int(chain[0], chain[1]), V::add_int(chain[2], chain[3]));
  }

  static void int8(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& x, int n_tokens,
                   float* out, std::size_t out_stride) {
    constexpr int T = V::kTokenBlock;
    constexpr int S = V::kStripBlock;
    std::uint32_t s = first;
    while (s < last) {
      const auto strips_at_once = [&]<int N>() {
        const std::byte* strips[N];
        for (int i = 0; i < N; ++i) strips[i] = strip_of(matrix, s + static_cast<std::uint32_t>(i));
        int token = 0;
        const auto block = [&]<int M>() {
          Int8Row rows[M];
          float* outs[M];
          for (int t = 0; t < M; ++t) {
            const std::size_t row = row_of(x, token + t);
            rows[t] = {x.q8 + row * x.q8_stride, x.scales + row * x.group_stride, x.sums + row * x.group_stride};
            outs[t] = out + static_cast<std::size_t>(token + t) * out_stride + s * kStripRows;
          }
          int8_block<N, M>(strips, matrix.cols, rows, outs);
          token += M;
        };
        if constexpr (T > 1) while (n_tokens - token >= T) block.template operator()<T>();
        if constexpr (T > 2) while (n_tokens - token >= 2) block.template operator()<2>();
        while (n_tokens - token >= 1) block.template operator()<1>();
        s += N;
      };
      // One token reads each strip to its end before the next: one forward stream.
      if constexpr (S > 1) {
        if (n_tokens > 1 && last - s >= S) {
          strips_at_once.template operator()<S>();
          continue;
        }
      }
      strips_at_once.template operator()<1>();
    }
  }
};

}  // namespace colonnade::engine
