// Multiplication of index-permute, gap and quad strips with wide int8 activations (see formats/permute_layout.h).
//
// For every (row, token): per group of kWideGroup columns an exact integer, the dot product of the weights with
// (activation + 128) less 128 times the sum of the weights; then acc = fma(float(integer), weight scale * activation
// scale, acc) over ascending groups.
#pragma once

#include <cstring>

#include "engine/formats/permute_layout.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/permute_steps.inl.h"
#include "engine/kernels/strips_turned.inl.h"

namespace colonnade::engine {

/// With more tokens loads are what limits a step: only the first of them to pass by a strip fetch it, the others find it in L2.
inline constexpr int kMostFetchingTokens = 8;

/// T rows of activations where they lie.
template <int T>
class RowTokens {
 public:
  RowTokens(const Activations& activations, int first) : distance_(activations.wide_rows) {
    for (int t = 0; t < T; ++t)
      rows_[t] = activations.wide + (activations.rows != nullptr ? activations.rows[first + t] : first + t);
  }

  /// The rows' columns of one group.
  class Group {
   public:
    Group(const RowTokens& tokens, std::size_t group) {
      for (int t = 0; t < T; ++t) rows_[t] = tokens.rows_[t] + group * tokens.distance_;
    }
    /// Where a window begins; at() is token t's.
    using Window = std::size_t;
    [[gnu::always_inline]] Window window(std::size_t column) const { return column; }
    [[gnu::always_inline]] const std::uint8_t* at(Window window, int t) const { return rows_[t]->bytes + window; }
    [[gnu::always_inline]] float scale(int t) const { return rows_[t]->scale; }

   private:
    const WideGroup* rows_[T];
  };

 private:
  const WideGroup* rows_[T];
  std::size_t distance_;
};

/// Neighbouring rows of activations: each group of each is at a constant distance from the one before.
class AdjacentTokens {
 public:
  /// `first`: group `first_group` of the first row; the next group is `distance` further.
  AdjacentTokens(const WideGroup* first, std::size_t distance, std::size_t first_group)
      : first_(first), distance_(distance), first_group_(first_group) {}

  class Group {
   public:
    Group(const AdjacentTokens& tokens, std::size_t group) : first_(tokens.first_ + (group - tokens.first_group_) * tokens.distance_) {}
    using Window = const std::uint8_t*;
    [[gnu::always_inline]] Window window(std::size_t column) const {
      const std::uint8_t* window = first_->bytes + column;
      asm("" : "+r"(window));  // or the compiler adds up an address for each token
      return window;
    }
    [[gnu::always_inline]] const std::uint8_t* at(Window window, int t) const {
      return window + static_cast<std::size_t>(t) * sizeof(WideGroup);
    }
    [[gnu::always_inline]] float scale(int t) const { return first_[t].scale; }

   private:
    const WideGroup* first_;
  };

 private:
  const WideGroup* first_;
  std::size_t distance_, first_group_;
};

/// One strip times T tokens. `Fetch`: what lies ahead is fetched from memory.
template <class V, class Steps, int T, class Tokens, bool Fetch>
struct PermuteStrip {
  using F = typename V::F;
  using I = typename V::I;

  [[gnu::always_inline]] static inline void add_steps(std::size_t count, const typename Tokens::Group& x, Steps& steps,
                                                      I (&sums)[T], I& offset) {
    if (count == 0) return;
    do {
      typename Steps::Indices index;
      typename V::Values values;
      const auto window = x.window(steps.template next<Fetch>(index, values));
      offset = V::add_128_times(offset, values);
      for (int t = 0; t < T; ++t)
        sums[t] = Steps::dot(sums[t], index, values, x.at(window, t));
    } while (--count > 0);
  }

  /// Groups [first, last): what `out` holds of the groups before is continued. `add`: all groups, to what `out` holds.
  static void run(const std::byte* strip, std::size_t n_groups, std::size_t first, std::size_t last, const Tokens& x, bool add, float* out,
                  std::size_t out_stride, int n_tokens) {
    // Headers are read where they are: to load a part of a copy is to wait until the copy has left the store queue.
    const auto* group = reinterpret_cast<const typename Steps::Group*>(strip + sizeof(PermuteHeader));
    std::size_t first_step = 0;
    for (std::size_t g = 0; g < first; ++g) first_step += std::size_t{Steps::lanes(group[g]).n_own} + Steps::lanes(group[g]).n_shared;
    Steps steps(strip, n_groups, reinterpret_cast<const PermuteHeader*>(strip)->n_steps, first_step);
    F acc[T];
    for (int t = 0; t < T; ++t)
      acc[t] = first == 0 || t >= n_tokens ? V::zero() : V::load(out + static_cast<std::size_t>(t) * out_stride);
    for (std::size_t g = first; g < last; ++g) {
      const PermuteGroup& lanes = Steps::lanes(group[g]);
      const typename Tokens::Group here(x, g);
      I sums[T], offset = V::zero_i();
      for (int t = 0; t < T; ++t) sums[t] = V::zero_i();
      const auto dealt_out = [&](I sum) { return V::add_i(V::keep_lanes(lanes.kept, sum), V::lanes_from(lanes.donor, sum)); };
      if constexpr (T == 1) {
        // In the order in which they lie: there are registers for both sums.
        steps.begin_own();
        add_steps(lanes.n_own, here, steps, sums, offset);
        if (lanes.n_shared > 0) {
          I shared[T], shared_offset = V::zero_i();
          for (int t = 0; t < T; ++t) shared[t] = V::zero_i();
          steps.begin_shared(group[g]);
          add_steps(lanes.n_shared, here, steps, shared, shared_offset);
          offset = V::add_i(offset, dealt_out(shared_offset));
          for (int t = 0; t < T; ++t) sums[t] = V::add_i(sums[t], dealt_out(shared[t]));
        }
      } else {
        // The shared steps first: their sums are dealt out to the rows where they are, and the own steps add to them.
        Steps shared = steps.after(lanes.n_own);
        if (lanes.n_shared > 0) {
          shared.begin_shared(group[g]);
          add_steps(lanes.n_shared, here, shared, sums, offset);
          offset = dealt_out(offset);
          for (int t = 0; t < T; ++t) sums[t] = dealt_out(sums[t]);
        }
        steps.begin_own();
        add_steps(lanes.n_own, here, steps, sums, offset);
        steps = shared;
      }
      const F weight_scale = V::mul(V::load_bf16(lanes.scales), V::set(Steps::kFactor));
      for (int t = 0; t < T; ++t) {
        const F scale = V::mul(weight_scale, V::set(here.scale(t)));
        acc[t] = V::fma(V::to_float(V::sub_i(sums[t], offset)), scale, acc[t]);
      }
    }
    for (int t = 0; t < T && t < n_tokens; ++t) {
      float* const to = out + static_cast<std::size_t>(t) * out_stride;
      V::store(to, add ? V::add(V::load(to), acc[t]) : acc[t]);
    }
  }
};

/// A few tokens, 1 … T, from where they lie; their number is known at run time.
template <class V, class Steps, int T>
void permute_few(int n_tokens, const std::byte* strip, std::size_t n_groups, const Activations& activations, bool add, float* out,
                 std::size_t out_stride) {
  if constexpr (T > 1) {
    if (n_tokens < T) return permute_few<V, Steps, T - 1>(n_tokens, strip, n_groups, activations, add, out, out_stride);
  }
  PermuteStrip<V, Steps, T, RowTokens<T>, true>::run(strip, n_groups, 0, n_groups, RowTokens<T>(activations, 0), add, out, out_stride, T);
}

/// Strips whose bytes stay in L2 while blocks of tokens pass by, and bytes of activations that stay in L1 while strips do.
inline constexpr std::size_t kResidentStripBytes = 256 * 1024, kResidentTokenBytes = 36 * 1024;

/// Whether `count` tokens are rows one after the other.
inline bool are_adjacent(const Activations& activations, int token, int count) {
  if (activations.rows == nullptr) return true;
  for (int t = 1; t < count; ++t)
    if (activations.rows[token + t] != activations.rows[token] + t) return false;
  return true;
}

/// Rows of T tokens that are no neighbours, or are fewer than T, copied to where they are.
template <int T>
class GatheredTokens {
 public:
  AdjacentTokens gather(const Activations& activations, int token, int count, std::size_t first, std::size_t last) {
    for (std::size_t g = first; g < last; ++g) {
      WideGroup* const to = groups_ + (g - first) * T;
      for (int t = 0; t < count; ++t) {
        const auto row = static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[token + t] : token + t);
        std::memcpy(to + t, activations.wide + g * activations.wide_rows + row, sizeof(WideGroup));
      }
      std::memset(static_cast<void*>(to + count), 0, static_cast<std::size_t>(T - count) * sizeof(WideGroup));
    }
    return AdjacentTokens(groups_, T, first);
  }

 private:
  WideGroup groups_[kResidentTokenBytes / (T * sizeof(WideGroup)) * T];
};

/// Strips [first, last) times `count` tokens from `token` on, 1 … T; T is the least that is enough.
template <class V, int T, class Choose>
void permute_block(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations, int token,
                   int count, bool add, float* out, std::size_t out_stride, const Choose& choose) {
  if constexpr (T > V::kFewWideTokens + 1 && T > 4) {
    if (count <= T - 4) return permute_block<V, T - 4>(matrix, first, last, activations, token, count, add, out, out_stride, choose);
  }
  const std::size_t n_groups = (matrix.cols + kWideGroup - 1) / kWideGroup;
  constexpr std::size_t kMost = kResidentTokenBytes / (T * sizeof(WideGroup));
  static_assert(kMost * kWideGroup >= kMostAddedColumns);
  const std::size_t parts = (n_groups + kMost - 1) / kMost;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = n_groups * part / parts, end = n_groups * (part + 1) / parts;
    const auto go = [&](const AdjacentTokens& x) {
      for (std::uint32_t s = first; s < last; ++s) {
        const std::byte* strip = matrix.strip(s);
        choose(strip, [&]<class Steps>() {
          float* const to = out + std::size_t{s} * kStripRows;
          if (T <= kMostFetchingTokens || token == 0)
            PermuteStrip<V, Steps, T, AdjacentTokens, true>::run(strip, n_groups, begin, end, x, add, to, out_stride, count);
          else
            PermuteStrip<V, Steps, T, AdjacentTokens, (T <= kMostFetchingTokens)>::run(strip, n_groups, begin, end, x, add, to, out_stride, count);
        });
      }
    };
    if (count < T || !are_adjacent(activations, token, count)) {
      GatheredTokens<T> gathered;
      go(gathered.gather(activations, token, count, begin, end));
    } else {
      const auto row = static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[token] : token);
      go(AdjacentTokens(activations.wide + begin * activations.wide_rows + row, activations.wide_rows, begin));
    }
  }
}

/// Many tokens are turned first (strips_turned.inl.h) for at least `least_turned` strips; of the others up to Most at a time.
template <class V, class T, int Most, bool Add, class Choose>
void multiply_stepped_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations,
                             int n_tokens, std::uint32_t least_turned, float* out, std::size_t out_stride, const Choose& choose) {
  if (n_tokens <= V::kFewWideTokens) {
    const std::size_t n_groups = (matrix.cols + kWideGroup - 1) / kWideGroup;
    for (std::uint32_t s = first; s < last; ++s) {
      const std::byte* strip = matrix.strip(s);
      choose(strip, [&]<class Steps>() {
        permute_few<V, Steps, V::kFewWideTokens>(n_tokens, strip, n_groups, activations, Add, out + std::size_t{s} * kStripRows, out_stride);
      });
    }
    return;
  }
  int first_token = 0;
  if (last - first >= least_turned) {
    for (; n_tokens - first_token >= T::kLeastTokens; first_token += least(n_tokens - first_token, kTurnedTokens))
      turn_and_multiply<V, T, Add>(matrix, first, last, activations, first_token, least(n_tokens - first_token, kTurnedTokens),
                                   out + static_cast<std::size_t>(first_token) * out_stride, out_stride, choose);
    if (first_token == n_tokens) return;
  }
  for (std::uint32_t s = first; s < last;) {
    std::uint32_t end = s + 1;
    while (end < last && matrix.strip_offsets[end + 1] - matrix.strip_offsets[s] <= kResidentStripBytes * matrix.alternating) ++end;
    for (int token = first_token; token < n_tokens; token += Most) {
      const int count = n_tokens - token < Most ? n_tokens - token : Most;
      permute_block<V, Most>(matrix, s, end, activations, token, count, Add, out + static_cast<std::size_t>(token) * out_stride,
                             out_stride, choose);
    }
    s = end;
  }
}

template <class V, class T, bool Int4, bool Add>
void multiply_permute_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                             const Activations& activations, int n_tokens, float* out, std::size_t out_stride) {
  multiply_stepped_strips<V, T, V::kPairTokens, Add>(matrix, first, last, activations, n_tokens, T::kLeastStrips, out, out_stride,
                                                    ChoosePairSteps<V, Int4>());
}

template <class V, class T, bool Add>
void multiply_gap_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations,
                         int n_tokens, float* out, std::size_t out_stride) {
  multiply_stepped_strips<V, T, V::kGapTokens, Add>(matrix, first, last, activations, n_tokens, T::kLeastGapStrips, out, out_stride,
                                                   ChooseGapSteps<V>());
}

template <class V, class T, bool Int4, bool Add>
void multiply_quad_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations,
                          int n_tokens, float* out, std::size_t out_stride) {
  multiply_stepped_strips<V, T, V::kPairTokens, Add>(matrix, first, last, activations, n_tokens, T::kLeastStrips, out, out_stride,
                                                    ChooseQuadSteps<V, Int4>());
}

}  // namespace colonnade::engine
