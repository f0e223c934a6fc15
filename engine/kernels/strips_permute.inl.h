// Multiplication of index-permute strips with wide int8 activations (see formats/permute_layout.h).
//
// For every (row, token): per group of kWideGroup columns an exact integer, the dot product of the weights with
// (activation + 128) less 128 times the sum of the weights; then acc = fma(float(integer), weight scale * activation
// scale, acc) over ascending groups.
#pragma once

#include <cstring>

#include "engine/formats/permute_layout.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/quad_sources.inl.h"
#include "engine/kernels/strips_float.inl.h"

namespace colonnade::engine {

/// The steps of a strip are one stream, read faster than those of other formats: what is fetched is further ahead.
inline constexpr std::size_t kStepPrefetchBytes = 8192;

template <int T>
struct WideTokens {
  const std::uint8_t* bytes[T];
  const float* scales[T];
};

/// One strip times T tokens.
template <class V, int Window, bool Int4, int T>
struct PermuteStrip {
  using F = typename V::F;
  using I = typename V::I;

  /// Where the next step lies.
  struct Place {
    const std::byte* base;
    const std::byte* step;  // of an int4 pair: its values
    bool odd = false;
  };

  [[gnu::always_inline]] static inline void add_steps(std::size_t count, std::size_t column, const WideTokens<T>& x,
                                                      Place& at, I (&sums)[T], I& offset) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t window = column + std::to_integer<std::size_t>(*at.base++) * kPermuteBaseUnit;
      // Two lines a step; the odd step of an int4 pair, which are three lines together, fetches the third.
      const std::byte* ahead = at.step + kStepPrefetchBytes + (Int4 && at.odd ? 2 * kPermuteStep : 0);
      __builtin_prefetch(ahead);
      __builtin_prefetch(ahead + 64);
      const std::byte* indices = at.step;
      typename V::Values values;
      if constexpr (Int4) {
        indices += at.odd ? 2 * kPermuteStep : kPermuteStep;
        values = V::load_int4_values(at.step, at.odd);
        at.step += at.odd ? 3 * kPermuteStep : 0;
        at.odd = !at.odd;
      } else {
        values = V::load_values(at.step + kPermuteStep);
        at.step += 2 * kPermuteStep;
      }
      const typename V::Indices index = V::template load_indices<Window>(indices);
      offset = V::add_128_times(offset, values);
      for (int t = 0; t < T; ++t) sums[t] = V::template dot_picked<Window>(sums[t], index, values, x.bytes[t] + window);
    }
  }

  static void run(const std::byte* strip, std::size_t n_groups, std::size_t n_steps, const WideTokens<T>& x, float* out,
                  std::size_t out_stride) {
    const std::byte* group = strip + sizeof(PermuteHeader);
    Place at = {group + n_groups * sizeof(PermuteGroup), strip + permute_steps_offset(n_groups, n_steps)};
    F acc[T];
    for (int t = 0; t < T; ++t) acc[t] = V::zero();
    for (std::size_t g = 0; g < n_groups; ++g, group += sizeof(PermuteGroup)) {
      PermuteGroup header;
      std::memcpy(&header, group, sizeof(header));
      I sums[T], offset = V::zero_i();
      for (int t = 0; t < T; ++t) sums[t] = V::zero_i();
      add_steps(header.n_own, g * kWideGroup, x, at, sums, offset);
      for (int t = 0; t < T; ++t) sums[t] = V::sub_i(sums[t], offset);
      if (header.n_shared > 0) {
        I shared[T];
        offset = V::zero_i();
        for (int t = 0; t < T; ++t) shared[t] = V::zero_i();
        add_steps(header.n_shared, g * kWideGroup, x, at, shared, offset);
        for (int t = 0; t < T; ++t) {
          const I part = V::sub_i(shared[t], offset);
          sums[t] = V::add_i(sums[t], V::add_i(V::keep_lanes(header.kept, part), V::lanes_from(header.donor, part)));
        }
      }
      const F weight_scale = V::load_bf16(header.scales);
      for (int t = 0; t < T; ++t) {
        const F scale = V::mul(weight_scale, V::set(x.scales[t][g] * (Int4 ? kInt4Factor : 1.0f)));
        acc[t] = V::fma(V::to_float(sums[t]), scale, acc[t]);
      }
    }
    for (int t = 0; t < T; ++t) V::store(out + static_cast<std::size_t>(t) * out_stride, acc[t]);
  }
};

/// For a number of tokens 1 … T that is known at run time; `token` is the first.
template <class V, int Window, bool Int4, int T>
void permute_strip(int n_tokens, const std::byte* strip, std::size_t n_groups, std::size_t n_steps,
                   const Activations& activations, int token, float* out, std::size_t out_stride) {
  if constexpr (T > 1) {
    if (n_tokens < T)
      return permute_strip<V, Window, Int4, T - 1>(n_tokens, strip, n_groups, n_steps, activations, token, out, out_stride);
  }
  WideTokens<T> x;
  for (int t = 0; t < T; ++t) {
    const auto row = static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[token + t] : token + t);
    x.bytes[t] = activations.wide + row * activations.wide_stride;
    x.scales[t] = activations.wide_scales + row * activations.wide_group_stride;
  }
  PermuteStrip<V, Window, Int4, T>::run(strip, n_groups, n_steps, x, out, out_stride);
}

template <class V, bool Int4>
void multiply_permute_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                             const Activations& activations, int n_tokens, float* out, std::size_t out_stride) {
  const std::size_t n_groups = (matrix.cols + kWideGroup - 1) / kWideGroup;
  const int resident = static_cast<int>(kResidentActivationBytes / (matrix.cols + 64)) / V::kWideTokens * V::kWideTokens;
  const int chunk = resident > V::kWideTokens ? resident : V::kWideTokens;
  for (int begin = 0; begin < n_tokens; begin += chunk) {
    const int end = n_tokens - begin < chunk ? n_tokens : begin + chunk;
    for (std::uint32_t s = first; s < last; ++s) {
      const std::byte* strip = matrix.base + matrix.strip_offsets[s];
      PermuteHeader header;
      std::memcpy(&header, strip, sizeof(header));
      for (int token = begin; token < end; token += V::kWideTokens) {
        const int count = end - token < V::kWideTokens ? end - token : V::kWideTokens;
        float* to = out + static_cast<std::size_t>(token) * out_stride + std::size_t{s} * kStripRows;
        const auto go = [&]<int Window>() {
          permute_strip<V, Window, Int4, V::kWideTokens>(count, strip, n_groups, header.n_steps, activations, token, to,
                                                         out_stride);
        };
        if (header.window == 64) go.template operator()<64>();
        else if (header.window == 128) go.template operator()<128>();
        else go.template operator()<256>();
      }
    }
  }
}

}  // namespace colonnade::engine
