// The steps of index-permute, gap and quad strips (see formats/permute_layout.h), read one after the other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/formats/permute_layout.h"
#include "engine/kernels/turned_step.h"

namespace colonnade::engine {

/// The steps of a strip are one stream, read faster than those of other formats: what is fetched is further ahead.
inline constexpr std::size_t kStepPrefetchBytes = 8192;

/// The steps of a permute-int8 or permute-int4 strip, one after the other.
template <class V, int Window, bool Int4>
class PairSteps {
 public:
  using Group = PermuteGroup;
  using Indices = typename V::Indices;
  static constexpr float kFactor = Int4 ? kInt4Factor : 1.0f;
  [[gnu::always_inline]] static typename V::I dot(typename V::I acc, const Indices& at, const typename V::Values& values, const std::uint8_t* x) {
    return V::template dot_picked<Window>(acc, at, values, x);
  }
  /// For turned activations.
  template <class T>
  [[gnu::always_inline]] static void unpack(const Indices& at, const typename V::Values& values, std::size_t base, UnpackedStep& to) {
    T::template unpack<Window>(at, values, static_cast<unsigned>(base), to);
  }

  /// From step `first` of a strip on.
  PairSteps(const std::byte* strip, std::size_t n_groups, std::size_t n_steps, std::size_t first)
      : base_(strip + sizeof(PermuteHeader) + n_groups * sizeof(Group) + first),
        step_(strip + permute_steps_offset(n_groups, n_steps) + permute_values_at(first, Int4)),
        odd_(Int4 && first % 2 != 0) {
    if (!Int4) step_ -= kPermuteStep;
  }

  static const PermuteGroup& lanes(const Group& group) { return group; }
  const std::byte* bases() const { return base_; }
  /// Where the bytes of the next steps begin, and at most how many each has beside its base.
  const std::byte* bytes() const { return Int4 ? step_ : step_ + kPermuteStep; }
  static constexpr std::size_t kBaseBytes = 1, kBytes = Int4 ? kPermuteStep * 3 / 2 : kPermuteStep * 2;
  void begin_own() {}
  void begin_shared(const Group&) {}
  /// `count` steps later.
  [[gnu::always_inline]] PairSteps after(std::size_t count) const {
    PairSteps later = *this;
    later.base_ += count;
    if constexpr (Int4) {
      later.step_ += (count + (odd_ ? 1 : 0)) / 2 * 3 * kPermuteStep;
      later.odd_ = odd_ != (count % 2 != 0);
    } else {
      later.step_ += count * 2 * kPermuteStep;
    }
    return later;
  }

  /// The first column of the window, within the group.
  template <bool Fetch>
  [[gnu::always_inline]] std::size_t next(typename V::Indices& index, typename V::Values& values) {
    // Two lines a step; the odd step of an int4 pair, which are three lines together, fetches the third.
    if constexpr (Fetch) {
      const std::byte* ahead = step_ + kStepPrefetchBytes + (Int4 && odd_ ? 2 * kPermuteStep : 0);
      __builtin_prefetch(ahead);
      __builtin_prefetch(ahead + 64);
    }
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
  using Indices = typename V::Indices;
  static constexpr int kWindow = static_cast<int>(kGapWindow);
  static constexpr float kFactor = kInt4Factor;
  [[gnu::always_inline]] static typename V::I dot(typename V::I acc, const Indices& at, const typename V::Values& values, const std::uint8_t* x) {
    return V::template dot_picked<kWindow>(acc, at, values, x);
  }
  template <class T>
  [[gnu::always_inline]] static void unpack(const Indices& at, const typename V::Values& values, std::size_t base, UnpackedStep& to) {
    T::template unpack<kWindow>(at, values, static_cast<unsigned>(base), to);
  }

  GapSteps(const std::byte* strip, std::size_t n_groups, std::size_t n_steps, std::size_t first)
      : base_(strip + sizeof(PermuteHeader) + n_groups * sizeof(Group) + first),
        step_(strip + gap_steps_offset(n_groups, n_steps) + first * kPermuteStep) {}

  static const PermuteGroup& lanes(const Group& group) { return group.lanes; }
  const std::byte* bases() const { return base_; }
  const std::byte* bytes() const { return step_; }
  static constexpr std::size_t kBaseBytes = 1, kBytes = kPermuteStep;
  [[gnu::always_inline]] void begin_own() {
    static constexpr std::uint8_t kFirstColumn[kStripRows] = {};
    at_ = V::start_positions(kFirstColumn);
  }
  [[gnu::always_inline]] void begin_shared(const Group& group) { at_ = V::start_positions(group.start); }
  /// `count` steps later, to begin there.
  [[gnu::always_inline]] GapSteps after(std::size_t count) const {
    GapSteps later = *this;
    later.base_ += count;
    later.step_ += count * kPermuteStep;
    return later;
  }

  template <bool Fetch>
  [[gnu::always_inline]] std::size_t next(typename V::Indices& index, typename V::Values& values) {
    if constexpr (Fetch) __builtin_prefetch(step_ + kStepPrefetchBytes);
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

/// The steps of a quad-int8 or quad-int4 strip.
template <class V, bool Int4>
class QuadSteps {
 public:
  using Group = PermuteGroup;
  using Indices = typename V::QuadIndices;
  static constexpr float kFactor = Int4 ? kInt4Factor : 1.0f;
  [[gnu::always_inline]] static typename V::I dot(typename V::I acc, const Indices& at, const typename V::Values& values, const std::uint8_t* x) {
    return V::dot_quads(acc, at, values, x);
  }
  template <class T>
  [[gnu::always_inline]] static void unpack(const Indices& at, const typename V::Values& values, std::size_t, UnpackedStep& to) {
    T::unpack_quads(at, values, to);
  }

  QuadSteps(const std::byte* strip, std::size_t n_groups, std::size_t n_steps, std::size_t first)
      : quads_(strip + quads_offset(n_groups) + first * kStripRows),
        values_(strip + quad_values_offset(n_groups, n_steps) + quad_values_at(first, Int4)),
        odd_(Int4 && first % 2 != 0) {}

  static const PermuteGroup& lanes(const Group& group) { return group; }
  const std::byte* bases() const { return quads_; }
  const std::byte* bytes() const { return values_; }
  static constexpr std::size_t kBaseBytes = kStripRows, kBytes = kPermuteStep;
  void begin_own() {}
  void begin_shared(const Group&) {}
  [[gnu::always_inline]] QuadSteps after(std::size_t count) const {
    QuadSteps later = *this;
    later.quads_ += count * kStripRows;
    later.values_ += (Int4 ? (count + (odd_ ? 1 : 0)) / 2 : count) * kPermuteStep;
    later.odd_ = odd_ != (Int4 && count % 2 != 0);
    return later;
  }

  template <bool Fetch>
  [[gnu::always_inline]] std::size_t next(Indices& index, typename V::Values& values) {
    if constexpr (Fetch) {
      __builtin_prefetch(quads_ + kStepPrefetchBytes / 4);
      if (!odd_) __builtin_prefetch(values_ + kStepPrefetchBytes);
    }
    index = V::load_quad_indices(quads_);
    quads_ += kStripRows;
    if constexpr (Int4) {
      values = V::load_int4_values(values_, odd_);
      values_ += odd_ ? kPermuteStep : 0;
      odd_ = !odd_;
    } else {
      values = V::load_values(values_);
      values_ += kPermuteStep;
    }
    return 0;
  }

 private:
  const std::byte* quads_;
  const std::byte* values_;  // of an int4 pair: both steps'
  bool odd_;
};

/// Calls go<Steps>() for the kind of steps that a strip has.
template <class V, bool Int4>
struct ChoosePairSteps {
  static constexpr bool kQuads = false;
  template <class Go>
  [[gnu::always_inline]] void operator()(const std::byte* strip, const Go& go) const {
    const std::uint32_t window = reinterpret_cast<const PermuteHeader*>(strip)->window;
    if (window == 64) go.template operator()<PairSteps<V, 64, Int4>>();
    else if (window == 128) go.template operator()<PairSteps<V, 128, Int4>>();
    else go.template operator()<PairSteps<V, 256, Int4>>();
  }
};

template <class V>
struct ChooseGapSteps {
  static constexpr bool kQuads = false;
  template <class Go>
  [[gnu::always_inline]] void operator()(const std::byte*, const Go& go) const { go.template operator()<GapSteps<V>>(); }
};

template <class V, bool Int4>
struct ChooseQuadSteps {
  static constexpr bool kQuads = true;
  template <class Go>
  [[gnu::always_inline]] void operator()(const std::byte*, const Go& go) const { go.template operator()<QuadSteps<V, Int4>>(); }
};

}  // namespace colonnade::engine
