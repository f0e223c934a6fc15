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

/// T rows of activations where they lie.
template <int T>
class RowTokens {
 public:
  RowTokens(const Activations& activations, int first) {
    for (int t = 0; t < T; ++t) {
      const auto row = static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[first + t] : first + t);
      bytes_[t] = activations.wide + row * activations.wide_stride;
      scales_[t] = activations.wide_scales + row * activations.wide_group_stride;
    }
  }
  /// Where a window begins; at() is token t's.
  using Window = std::size_t;
  [[gnu::always_inline]] Window window(std::size_t group, std::size_t column) const { return group * kWideGroup + column; }
  [[gnu::always_inline]] const std::uint8_t* at(Window window, int t) const { return bytes_[t] + window; }
  [[gnu::always_inline]] float scale(int t, std::size_t group) const { return scales_[t][group]; }

 private:
  const std::uint8_t* bytes_[T];
  const float* scales_[T];
};

/// T rows of activations at one distance from each other.
template <int T>
class SpacedTokens {
 public:
  /// Rows `stride` bytes apart, their scales `scale_stride` floats; both begin with a group.
  SpacedTokens(const std::uint8_t* bytes, std::size_t stride, const float* scales, std::size_t scale_stride,
               std::size_t first_group = 0)
      : bytes_(bytes), scales_(scales), stride_(stride), scale_stride_(scale_stride), first_group_(first_group) {}

  /// Addresses of every third token: x86 adds a register, and twice another one, to them in the load.
  struct Window {
    const std::uint8_t* third[(T + 2) / 3];
  };
  [[gnu::always_inline]] Window window(std::size_t group, std::size_t column) const {
    Window window;
    const std::uint8_t* at = bytes_ + (group - first_group_) * kWideGroup + column;
    for (int i = 0; i < (T + 2) / 3; ++i) {
      asm("" : "+r"(at));  // or the compiler keeps a register for each token
      window.third[i] = at;
      at += 3 * stride_;
    }
    return window;
  }
  [[gnu::always_inline]] const std::uint8_t* at(const Window& window, int t) const {
    return window.third[t / 3] + static_cast<std::size_t>(t % 3) * stride_;
  }
  [[gnu::always_inline]] float scale(int t, std::size_t group) const {
    return scales_[static_cast<std::size_t>(t) * scale_stride_ + group - first_group_];
  }

 private:
  const std::uint8_t* bytes_;
  const float* scales_;
  std::size_t stride_, scale_stride_, first_group_;
};

/// The steps of a permute-int8 or permute-int4 strip, one after the other.
template <class V, int Window, bool Int4>
class PairSteps {
 public:
  using Group = PermuteGroup;
  static constexpr int kWindow = Window;
  static constexpr float kFactor = Int4 ? kInt4Factor : 1.0f;

  /// From step `first` of a strip on.
  PairSteps(const std::byte* strip, std::size_t n_groups, std::size_t n_steps, std::size_t first)
      : base_(strip + sizeof(PermuteHeader) + n_groups * sizeof(Group) + first),
        step_(strip + permute_steps_offset(n_groups, n_steps) + permute_values_at(first, Int4)),
        odd_(Int4 && first % 2 != 0) {
    if (!Int4) step_ -= kPermuteStep;
  }

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
  bool odd_;
};

/// The steps of a gap-int4 strip.
template <class V>
class GapSteps {
 public:
  using Group = GapGroup;
  static constexpr int kWindow = static_cast<int>(kGapWindow);
  static constexpr float kFactor = kInt4Factor;

  GapSteps(const std::byte* strip, std::size_t n_groups, std::size_t n_steps, std::size_t first)
      : base_(strip + sizeof(PermuteHeader) + n_groups * sizeof(Group) + first),
        step_(strip + gap_steps_offset(n_groups, n_steps) + first * kPermuteStep) {}

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
template <class V, class Steps, int T, class Tokens>
struct PermuteStrip {
  using F = typename V::F;
  using I = typename V::I;

  [[gnu::always_inline]] static inline void add_steps(std::size_t count, std::size_t group, const Tokens& x, Steps& steps,
                                                      I (&sums)[T], I& offset) {
    for (std::size_t i = 0; i < count; ++i) {
      typename V::Indices index;
      typename V::Values values;
      const typename Tokens::Window window = x.window(group, steps.next(index, values));
      offset = V::add_128_times(offset, values);
      for (int t = 0; t < T; ++t)
        sums[t] = V::template dot_picked<Steps::kWindow>(sums[t], index, values, x.at(window, t));
    }
  }

  /// Groups [first, last): what `out` holds of the groups before is continued. `add`: all groups, to what `out` holds.
  static void run(const std::byte* strip, std::size_t n_groups, std::size_t first, std::size_t last, const Tokens& x, bool add, float* out,
                  std::size_t out_stride, int n_tokens) {
    PermuteHeader strip_header;
    std::memcpy(&strip_header, strip, sizeof(strip_header));
    const std::byte* group = strip + sizeof(PermuteHeader);
    std::size_t first_step = 0;
    for (std::size_t g = 0; g < first; ++g, group += sizeof(typename Steps::Group)) {
      PermuteGroup lanes;
      std::memcpy(&lanes, group, sizeof(lanes));
      first_step += std::size_t{lanes.n_own} + lanes.n_shared;
    }
    Steps steps(strip, n_groups, strip_header.n_steps, first_step);
    F acc[T];
    for (int t = 0; t < T; ++t)
      acc[t] = first == 0 || t >= n_tokens ? V::zero() : V::load(out + static_cast<std::size_t>(t) * out_stride);
    for (std::size_t g = first; g < last; ++g, group += sizeof(typename Steps::Group)) {
      typename Steps::Group header;
      std::memcpy(&header, group, sizeof(header));
      const PermuteGroup& lanes = Steps::lanes(header);
      I sums[T], offset = V::zero_i();
      for (int t = 0; t < T; ++t) sums[t] = V::zero_i();
      steps.begin_own();
      add_steps(lanes.n_own, g, x, steps, sums, offset);
      if (lanes.n_shared > 0) {
        I shared[T], part = V::zero_i();
        for (int t = 0; t < T; ++t) shared[t] = V::zero_i();
        steps.begin_shared(header);
        add_steps(lanes.n_shared, g, x, steps, shared, part);
        const auto joined = [&](I own, I other) {
          return V::add_i(own, V::add_i(V::keep_lanes(lanes.kept, other), V::lanes_from(lanes.donor, other)));
        };
        offset = joined(offset, part);
        for (int t = 0; t < T; ++t) sums[t] = joined(sums[t], shared[t]);
      }
      const F weight_scale = V::mul(V::load_bf16(lanes.scales), V::set(Steps::kFactor));
      for (int t = 0; t < T; ++t) {
        const F scale = V::mul(weight_scale, V::set(x.scale(t, g)));
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
  PermuteStrip<V, Steps, T, RowTokens<T>>::run(strip, n_groups, 0, n_groups, RowTokens<T>(activations, 0), add, out, out_stride, T);
}

/// Strips whose bytes stay in L2 while blocks of tokens pass by, and bytes of activations that stay in L1 while strips do.
inline constexpr std::size_t kResidentStripBytes = 256 * 1024, kResidentTokenBytes = 36 * 1024;

/// How many rows lie between each of `count` tokens and the next, 0 if not always as many.
inline std::int32_t row_distance(const Activations& activations, int token, int count) {
  if (activations.rows == nullptr || count < 2) return 1;
  const std::int32_t* rows = activations.rows + token;
  const std::int32_t distance = rows[1] - rows[0];
  for (int t = 2; t < count; ++t)
    if (rows[t] - rows[t - 1] != distance) return 0;
  return distance > 0 ? distance : 0;
}

/// Rows of T tokens that do not lie at one distance, or are fewer than T, copied to where they do.
template <int T>
class GatheredTokens {
 public:
  SpacedTokens<T> gather(const Activations& activations, int token, int count, std::size_t first, std::size_t last) {
    for (int t = 0; t < count; ++t) {
      const auto row = static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[token + t] : token + t);
      std::memcpy(bytes_ + static_cast<std::size_t>(t) * kRowBytes, activations.wide + row * activations.wide_stride + first * kWideGroup,
                  (last - first) * kWideGroup);
      std::memcpy(scales_ + static_cast<std::size_t>(t) * kGroups, activations.wide_scales + row * activations.wide_group_stride + first,
                  (last - first) * sizeof(float));
    }
    if (count < T) {
      std::memset(bytes_ + static_cast<std::size_t>(count) * kRowBytes, 0, static_cast<std::size_t>(T - count) * kRowBytes);
      std::memset(scales_ + static_cast<std::size_t>(count) * kGroups, 0, static_cast<std::size_t>(T - count) * kGroups * sizeof(float));
    }
    return SpacedTokens<T>(bytes_, kRowBytes, scales_, kGroups, first);
  }

 private:
  static constexpr std::size_t kGroups = kResidentTokenBytes / T / kWideGroup;
  // One line more keeps the rows out of each other's cache sets.
  static constexpr std::size_t kRowBytes = kGroups * kWideGroup + 64;
  alignas(64) std::uint8_t bytes_[T * kRowBytes];
  float scales_[T * kGroups];
};

/// Strips [first, last) times `count` tokens from `token` on, 1 … T; T is the least that is enough.
template <class V, int T, class Choose>
void permute_block(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations, int token,
                   int count, bool add, float* out, std::size_t out_stride, const Choose& choose) {
  if constexpr (T > V::kFewWideTokens + 1 && T > 4) {
    if (count <= T - 4) return permute_block<V, T - 4>(matrix, first, last, activations, token, count, add, out, out_stride, choose);
  }
  const std::size_t n_groups = (matrix.cols + kWideGroup - 1) / kWideGroup;
  static_assert(kResidentTokenBytes / T >= kMostAddedColumns);
  const std::size_t most = kResidentTokenBytes / T / kWideGroup, parts = (n_groups + most - 1) / most;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = n_groups * part / parts, end = n_groups * (part + 1) / parts;
    const auto go = [&](const SpacedTokens<T>& x) {
      for (std::uint32_t s = first; s < last; ++s) {
        const std::byte* strip = matrix.strip(s);
        choose(strip, [&]<class Steps>() {
          PermuteStrip<V, Steps, T, SpacedTokens<T>>::run(strip, n_groups, begin, end, x, add, out + std::size_t{s} * kStripRows, out_stride,
                                                          count);
        });
      }
    };
    const auto distance = static_cast<std::size_t>(count < T ? 0 : row_distance(activations, token, count));
    if (distance == 0) {
      GatheredTokens<T> gathered;
      go(gathered.gather(activations, token, count, begin, end));
    } else {
      const auto row = static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[token] : token);
      go(SpacedTokens<T>(activations.wide + row * activations.wide_stride, distance * activations.wide_stride,
                         activations.wide_scales + row * activations.wide_group_stride, distance * activations.wide_group_stride));
    }
  }
}

/// Up to T tokens at a time; `choose(strip, go)` calls go<Steps>() for the kind of steps that a strip has.
template <class V, int T, bool Add, class Choose>
void multiply_stepped_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations,
                             int n_tokens, float* out, std::size_t out_stride, const Choose& choose) {
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
  for (std::uint32_t s = first; s < last;) {
    std::uint32_t end = s + 1;
    while (end < last && matrix.strip_offsets[end + 1] - matrix.strip_offsets[s] <= kResidentStripBytes * matrix.alternating) ++end;
    for (int token = 0; token < n_tokens; token += T) {
      const int count = n_tokens - token < T ? n_tokens - token : T;
      permute_block<V, T>(matrix, s, end, activations, token, count, Add, out + static_cast<std::size_t>(token) * out_stride,
                                       out_stride, choose);
    }
    s = end;
  }
}

template <class V, bool Int4, bool Add>
void multiply_permute_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                             const Activations& activations, int n_tokens, float* out, std::size_t out_stride) {
  multiply_stepped_strips<V, V::kPairTokens, Add>(matrix, first, last, activations, n_tokens, out, out_stride,
                             [](const std::byte* strip, const auto& go) {
                               PermuteHeader header;
                               std::memcpy(&header, strip, sizeof(header));
                               if (header.window == 64) go.template operator()<PairSteps<V, 64, Int4>>();
                               else if (header.window == 128) go.template operator()<PairSteps<V, 128, Int4>>();
                               else go.template operator()<PairSteps<V, 256, Int4>>();
                             });
}

template <class V, bool Add>
void multiply_gap_strips(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations,
                         int n_tokens, float* out, std::size_t out_stride) {
  multiply_stepped_strips<V, V::kGapTokens, Add>(matrix, first, last, activations, n_tokens, out, out_stride,
                             [](const std::byte*, const auto& go) { go.template operator()<GapSteps<V>>(); });
}

}  // namespace colonnade::engine
