// Multiplication of index-permute and gap strips with wide int8 activations (see formats/permute_layout.h).
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

/// The steps of a permute-int8 or permute-int4 strip, one after the other.
template <class V, int Window, bool Int4>
class PairSteps {
 public:
  using Group = PermuteGroup;
  static constexpr int kWindow = Window;
  static constexpr float kFactor = Int4 ? kInt4Factor : 1.0f;

  PairSteps(const std::byte* strip, std::size_t n_groups, std::size_t n_steps)
      : base_(strip + sizeof(PermuteHeader) + n_groups * sizeof(Group)),
        step_(strip + permute_steps_offset(n_groups, n_steps)) {}

  static const PermuteGroup& lanes(const Group& group) { return group; }
  void begin_own() {}
  void begin_shared(const Group&) {}

  /// The first column of the window, within the group.
  [[gnu::always_inline]] std::size_t next(typename V::Indices& index, typename V::Values& values) {
    // Two lines a step; the odd step of an int4 pair, which are three lines together, fetches the third.
    const std::byte* ahead = step_ + kStepPrefetchBytes + (Int4 && odd_ ? 2 * kPermuteStep : 0);
    __builtin_prefetch(ahead);
    __builtin_prefetch(ahead + 64);
    if constexpr (Int4) {
      values = V::load_int4_values(step_, odd_);
      index = V::template load_indices<Window>(step_ + (odd_ ? 2 * kPermuteStep : kPermuteStep));
      step_ += odd_ ? 3 * kPermuteStep : 0;
      odd_ = !odd_;
    } else {
      values = V::load_values(step_ + kPermuteStep);
      index = V::template load_indices<Window>(step_);
      step_ += 2 * kPermuteStep;
    }
    return std::to_integer<std::size_t>(*base_++) * kPermuteBaseUnit;
  }

 private:
  const std::byte* base_;
  const std::byte* step_;  // of an int4 pair: its values
  bool odd_ = false;
};

/// The steps of a gap-int4 strip.
template <class V>
class GapSteps {
 public:
  using Group = GapGroup;
  static constexpr int kWindow = static_cast<int>(kGapWindow);
  static constexpr float kFactor = kInt4Factor;

  GapSteps(const std::byte* strip, std::size_t n_groups, std::size_t n_steps)
      : base_(strip + sizeof(PermuteHeader) + n_groups * sizeof(Group)), step_(strip + gap_steps_offset(n_groups, n_steps)) {}

  static const PermuteGroup& lanes(const Group& group) { return group.lanes; }
  [[gnu::always_inline]] void begin_own() {
    static constexpr std::uint8_t kFirstColumn[kStripRows] = {};
    at_ = V::start_positions(kFirstColumn);
  }
  [[gnu::always_inline]] void begin_shared(const Group& group) { at_ = V::start_positions(group.start); }

  [[gnu::always_inline]] std::size_t next(typename V::Indices& index, typename V::Values& values) {
    __builtin_prefetch(step_ + kStepPrefetchBytes);
    const std::size_t base = std::to_integer<std::size_t>(*base_++) * kPermuteBaseUnit;
    V::template step_by_gaps<kWindow>(step_, static_cast<unsigned>(base), at_, index, values);
    step_ += kPermuteStep;
    return base;
  }

 private:
  const std::byte* base_;
  const std::byte* step_;
  typename V::Positions at_;
};

/// One strip times T tokens.
template <class V, class Steps, int T>
struct PermuteStrip {
  using F = typename V::F;
  using I = typename V::I;

  [[gnu::always_inline]] static inline void add_steps(std::size_t count, std::size_t column, const WideTokens<T>& x,
                                                      Steps& steps, I (&sums)[T], I& offset) {
    for (std::size_t i = 0; i < count; ++i) {
      typename V::Indices index;
      typename V::Values values;
      const std::size_t window = column + steps.next(index, values);
      offset = V::add_128_times(offset, values);
      for (int t = 0; t < T; ++t)
        sums[t] = V::template dot_picked<Steps::kWindow>(sums[t], index, values, x.bytes[t] + window);
    }
  }

  static void run(const std::byte* strip, std::size_t n_groups, std::size_t n_steps, const WideTokens<T>& x, float* out,
                  std::size_t out_stride) {
    const std::byte* group = strip + sizeof(PermuteHeader);
    Steps steps(strip, n_groups, n_steps);
    F acc[T];
    for (int t = 0; t < T; ++t) acc[t] = V::zero();
    for (std::size_t g = 0; g < n_groups; ++g, group += sizeof(typename Steps::Group)) {
      typename Steps::Group header;
      std::memcpy(&header, group, sizeof(header));
      const PermuteGroup& lanes = Steps::lanes(header);
      I sums[T], offset = V::zero_i();
      for (int t = 0; t < T; ++t) sums[t] = V::zero_i();
      steps.begin_own();
      add_steps(lanes.n_own, g * kWideGroup, x, steps, sums, offset);
      for (int t = 0; t < T; ++t) sums[t] = V::sub_i(sums[t], offset);
      if (lanes.n_shared > 0) {
        I shared[T];
        offset = V::zero_i();
        for (int t = 0; t < T; ++t) shared[t] = V::zero_i();
        steps.begin_shared(header);
        add_steps(lanes.n_shared, g * kWideGroup, x, steps, shared, offset);
        for (int t = 0; t < T; ++t) {
          const I part = V::sub_i(shared[t], offset);
          sums[t] = V::add_i(sums[t], V::add_i(V::keep_lanes(lanes.kept, part), V::lanes_from(lanes.donor, part)));
        }
      }
      const F weight_scale = V::load_bf16(lanes.scales);
      for (int t = 0; t < T; ++t) {
        const F scale = V::mul(weight_scale, V::set(x.scales[t][g] * Steps::kFactor));
        acc[t] = V::fma(V::to_float(sums[t]), scale, acc[t]);
      }
    }
    for (int t = 0; t < T; ++t) V::store(out + static_cast<std::size_t>(t) * out_stride, acc[t]);
  }
};

/// For a number of tokens 1 … T that is known at run time; `token` is the first.
template <class V, class Steps, int T>
void permute_strip(int n_tokens, const std::byte* strip, std::size_t n_groups, std::size_t n_steps,
                   const Activations& activations, int token, float* out, std::size_t out_stride) {
  if constexpr (T > 1) {
    if (n_tokens < T)
      return permute_strip<V, Steps, T - 1>(n_tokens, strip, n_groups, n_steps, activations, token, out, out_stride);
  }
  WideTokens<T> x;
  for (int t = 0; t < T; ++t) {
    const auto row = static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[token + t] : token + t);
    x.bytes[t] = activations.wide + row * activations.wide_stride;
    x.scales[t] = activations.wide_scales + row * activations.wide_group_stride;
  }
  PermuteStrip<V, Steps, T>::run(strip, n_groups, n_steps, x, out, out_stride);
}

/// `choose(header, go)` calls go<Steps>() for the kind of steps that a strip has.
template <class V, class Choose>
void multiply_stepped_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations,
                             int n_tokens, float* out, std::size_t out_stride, const Choose& choose) {
  const std::size_t n_groups = (matrix.cols + kWideGroup - 1) / kWideGroup;
  const int chunk = tokens_of_pass(n_tokens, matrix.cols + 64, V::kWideTokens);
  for (int begin = 0; begin < n_tokens; begin += chunk) {
    const int end = n_tokens - begin < chunk ? n_tokens : begin + chunk;
    for (std::uint32_t s = first; s < last; ++s) {
      const std::byte* strip = matrix.strip(s);
      PermuteHeader header;
      std::memcpy(&header, strip, sizeof(header));
      for (int token = begin; token < end; token += V::kWideTokens) {
        const int count = end - token < V::kWideTokens ? end - token : V::kWideTokens;
        float* to = out + static_cast<std::size_t>(token) * out_stride + std::size_t{s} * kStripRows;
        choose(header, [&]<class Steps>() {
          permute_strip<V, Steps, V::kWideTokens>(count, strip, n_groups, header.n_steps, activations, token, to, out_stride);
        });
      }
    }
  }
}

template <class V, bool Int4>
void multiply_permute_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                             const Activations& activations, int n_tokens, float* out, std::size_t out_stride) {
  multiply_stepped_strips<V>(matrix, first, last, activations, n_tokens, out, out_stride,
                             [](const PermuteHeader& header, const auto& go) {
                               if (header.window == 64) go.template operator()<PairSteps<V, 64, Int4>>();
                               else if (header.window == 128) go.template operator()<PairSteps<V, 128, Int4>>();
                               else go.template operator()<PairSteps<V, 256, Int4>>();
                             });
}

template <class V>
void multiply_gap_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations,
                         int n_tokens, float* out, std::size_t out_stride) {
  multiply_stepped_strips<V>(matrix, first, last, activations, n_tokens, out, out_stride,
                             [](const PermuteHeader&, const auto& go) { go.template operator()<GapSteps<V>>(); });
}

}  // namespace colonnade::engine
