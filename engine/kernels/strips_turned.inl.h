// Multiplication of index-permute, gap and quad strips with many tokens: lanes are tokens, not rows.
//
// Activations are turned (TurnedGroup), so an entry (value, column) of a row takes one line of 64 bytes whole, in place of a
// byte that is looked for among 64 to 256. Four entries of a row are four loads, eight shuffles that make quads of their
// bytes, and a dot product for every 16 tokens. Of a quad the lines are neighbours, and are interleaved once for many strips. The integers are those of strips_permute.inl.h, and so are the bits of
// the results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "engine/formats/permute_layout.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/permute_steps.inl.h"
#include "engine/kernels/turned_step.h"

namespace colonnade::engine {

/// Strips that take turns at a group of columns, whose lines stay in L1: their results are in L2.
inline constexpr std::uint32_t kMostTurnedStrips = 32;

/// Functions of the standard library would be code that the linker may use elsewhere.
template <class Number>
[[gnu::always_inline]] constexpr Number least(Number a, Number b) {
  return b < a ? b : a;
}

/// A strip and a group of columns times kVectors * 16 tokens of a block: half of them, or all. With kQuads the group
/// has quads.
template <class V, class T, bool kQuads, int kVectors>
class TurnedStrip {
  using F = typename V::F;
  using I = typename V::I;
  static constexpr std::size_t kMostUnpacked = 64;  // 12 KiB, beside 32 KiB of lines

 public:
  /// What run() will read first: of the strip after the next one. Strips lie apart, and no processor foresees them.
  template <class Steps>
  static void fetch_header(const std::byte* strip, std::size_t group) {
    __builtin_prefetch(strip);
    const std::byte* header = strip + sizeof(PermuteHeader) + group * sizeof(typename Steps::Group);
    __builtin_prefetch(header);
    __builtin_prefetch(header + sizeof(typename Steps::Group) - 1);
  }
  /// The steps of the next one.
  template <class Steps>
  static void fetch_steps(const std::byte* strip, std::size_t n_groups, std::size_t group, std::size_t first_step) {
    const PermuteGroup& lanes = Steps::lanes(header_of<Steps>(strip, group));
    const Steps steps(strip, n_groups, n_steps_of(strip), first_step);
    const std::size_t count = std::size_t{lanes.n_own} + lanes.n_shared;
    for (std::size_t i = 0; i < count * Steps::kBaseBytes; i += 64) __builtin_prefetch(steps.bases() + i);
    for (std::size_t i = 0; i < count * Steps::kBytes; i += 64) __builtin_prefetch(steps.bytes() + i);
  }

  /// `first_step`: of the group; becomes that of the next. results: (kStripRows, kTurnedTokens); of the first group written,
  /// or with `add` added to, and of others continued.
  template <class Steps>
  static void run(const std::byte* strip, std::size_t n_groups, std::size_t group, std::size_t& first_step, const TurnedGroup& x, bool add,
                  float* results) {
    const auto& header = header_of<Steps>(strip, group);
    const PermuteGroup& lanes = Steps::lanes(header);
    Steps steps(strip, n_groups, n_steps_of(strip), first_step);
    const std::size_t n_own = lanes.n_own, n_steps = n_own + lanes.n_shared;
    first_step += n_steps;

    UnpackedStep unpacked[kMostUnpacked];
    alignas(64) std::int32_t unfinished[kStripRows][kTurnedTokens];  // of groups with more steps than that
    steps.begin_own();
    std::size_t begin = 0;
    do {
      I own_offset = V::zero_i(), shared_offset = V::zero_i();
      const std::size_t end = least(n_steps, begin + kMostUnpacked);
      for (std::size_t step = begin; step < end; ++step) {
        if (step == n_own) steps.begin_shared(header);
        unpack(steps, unpacked[step - begin], step < n_own ? own_offset : shared_offset);
      }
      const std::size_t middle = (n_own < begin ? begin : least(n_own, end)) - begin, last = end - begin;  // own steps, then shared ones
      alignas(64) std::int32_t offsets[kStripRows];
      alignas(64) float weight_scales[kStripRows];
      const I offset = V::add_i(own_offset, V::add_i(V::keep_lanes(lanes.kept, shared_offset), V::lanes_from(lanes.donor, shared_offset)));
      V::store_i(offsets, V::sub_i(V::zero_i(), offset));
      V::store(weight_scales, V::mul(V::load_bf16(lanes.scales), V::set(Steps::kFactor)));
      const auto do_row = [&](std::size_t row, auto n_shared_lanes) __attribute__((always_inline)) {
        I sums[kVectors];
        for (int v = 0; v < kVectors; ++v) sums[v] = V::set_i(offsets[row]);
        if (begin != 0) {
          for (int v = 0; v < kVectors; ++v) sums[v] = V::add_i(sums[v], V::load_i(unfinished[row] + 16 * v));
        }
        add_lane(unpacked, row, 0, middle, x, sums);
        if constexpr (n_shared_lanes() == 2) {
          if ((lanes.kept >> row & 1u) != 0) add_lane(unpacked, row, middle, last, x, sums);  // encoders never leave it out
          add_lane(unpacked, lanes.donor[row], middle, last, x, sums);
        } else if constexpr (n_shared_lanes() == 1) {
          add_lane(unpacked, row, middle, last, x, sums);
        }
        if (end < n_steps) {
          for (int v = 0; v < kVectors; ++v) V::store_i(unfinished[row] + 16 * v, sums[v]);
        } else {
          finish(sums, weight_scales[row], x.scales, group == 0, add, results + row * kTurnedTokens);
        }
      };
      // Rows that have the same lanes one after the other: which lanes a row has is chance, and no processor foresees it.
      const unsigned kept = lanes.kept, given = rows_with_donor(lanes);
      for_rows(kept & ~given, [&](std::size_t row) __attribute__((always_inline)) { do_row(row, std::integral_constant<int, 1>()); });
      for_rows(given, [&](std::size_t row) __attribute__((always_inline)) { do_row(row, std::integral_constant<int, 2>()); });
      for_rows(~(kept | given) & kAllRows, [&](std::size_t row) __attribute__((always_inline)) { do_row(row, std::integral_constant<int, 0>()); });
      begin = end;
    } while (begin < n_steps);
  }

 private:
  static constexpr unsigned kAllRows = (1u << kStripRows) - 1;
  /// A bit for each row that a donor works for.
  [[gnu::always_inline]] static inline unsigned rows_with_donor(const PermuteGroup& lanes) {
    unsigned rows = 0;
    for (std::size_t half = 0; half < 2; ++half) {
      std::uint64_t donors;
      __builtin_memcpy(&donors, lanes.donor + 8 * half, sizeof(donors));
      // The top bits of the eight bytes, side by side.
      const std::uint64_t none = (donors >> 7 & 0x0101010101010101u) * 0x0102040810204080u >> 56;
      rows |= static_cast<unsigned>(~none & 0xffu) << 8 * half;
    }
    return rows;
  }
  template <class Row>
  [[gnu::always_inline]] static inline void for_rows(unsigned rows, const Row& row) {
    for (; rows != 0; rows &= rows - 1) row(static_cast<std::size_t>(__builtin_ctz(rows)));
  }

  template <class Steps>
  static const typename Steps::Group& header_of(const std::byte* strip, std::size_t group) {
    return reinterpret_cast<const typename Steps::Group*>(strip + sizeof(PermuteHeader))[group];
  }
  static std::size_t n_steps_of(const std::byte* strip) { return reinterpret_cast<const PermuteHeader*>(strip)->n_steps; }

  template <class Steps>
  [[gnu::always_inline]] static inline void unpack(Steps& steps, UnpackedStep& to, I& offset) {
    typename Steps::Indices index;
    typename V::Values values;
    const std::size_t base = steps.template next<false>(index, values);
    offset = V::add_128_times(offset, values);
    Steps::template unpack<T>(index, values, base, to);
  }

  /// Adds what `lane` has in steps [begin, end).
  [[gnu::always_inline]] static inline void add_lane(const UnpackedStep* steps, std::size_t lane, std::size_t begin, std::size_t end,
                                                     const TurnedGroup& x, I (&sums)[kVectors]) {
    const auto add = [&](const UnpackedStep& step) __attribute__((always_inline)) {
      const std::int8_t* const values = step.values + kPermuteEntries * lane;
      if constexpr (kQuads) T::template add_quad<kVectors>(sums, x.lines[0] + step.places[lane], values);
      else T::template add_lines<kVectors>(sums, x.lines[0], step.places + kPermuteEntries * lane, values);
    };
    std::size_t i = begin;
    if constexpr (kQuads) {
      for (; i + 2 <= end; i += 2) {
        add(steps[i]);
        add(steps[i + 1]);
      }
    }
    for (; i < end; ++i) add(steps[i]);
  }

  [[gnu::always_inline]] static inline void finish(const I (&sums)[kVectors], float weight_scale, const float* scales,
                                                   bool first_group, bool add, float* to) {
    for (int v = 0; v < kVectors; ++v, to += 16) {
      const F scale = V::mul(V::set(weight_scale), V::load(scales + 16 * v));
      const F sum = V::to_float(sums[v]);
      if (add) V::store(to, V::add(V::load(to), V::fma(sum, scale, V::zero())));
      else V::store(to, V::fma(sum, scale, first_group ? V::zero() : V::load(to)));
    }
    // The other half is no token's; but what was there before would go through the same functions again and again.
    if (first_group && !add) {
      for (int v = kVectors; v < kTurnedTokens / 16; ++v, to += 16) V::store(to, V::zero());
    }
  }
};

/// Four lines of neighbouring columns become one quad of each token, 16 tokens to a line.
template <class T>
void interleave_group(const TurnedGroup& from, std::size_t n_columns, TurnedGroup& to) {
  for (std::size_t column = 0; column < n_columns; column += kQuadColumns) T::interleave(from.lines[column], to.lines[column]);
  to.quads = true;
}

/// Up to kMostTurnedStrips strips.
template <class V, class T>
class TurnedTile {
  struct NoQuads {};

 public:
  void add(const std::byte* strip) { strips_[n_strips_++] = strip; }
  bool is_full() const { return n_strips_ == kMostTurnedStrips; }
  bool is_empty() const { return n_strips_ == 0; }
  /// Returns what is behind the strips' results.
  float* clear(float* out) {
    float* const after = out + std::size_t{n_strips_} * kStripRows * kTurnedTokens;
    n_strips_ = 0;
    return after;
  }

  /// Columns [0, cols) times n_tokens of a block, group by group: group_at(g) is group g of the block. `next`: what is read
  /// after the last.
  template <class Choose, class GroupAt>
  void multiply(std::size_t cols, const GroupAt& group_at, const TurnedGroup* next, int n_tokens, bool add, float* out, const Choose& choose) {
    if (n_tokens <= kTurnedTokens / 2) multiply_groups<2>(cols, group_at, next, add, out, choose);
    else multiply_groups<4>(cols, group_at, next, add, out, choose);
  }

 private:
  template <int kVectors, class Choose, class GroupAt>
  void multiply_groups(std::size_t cols, const GroupAt& group_at, const TurnedGroup* next, bool add, float* out, const Choose& choose) {
    using Strip = TurnedStrip<V, T, Choose::kQuads, kVectors>;
    const std::size_t n_groups = (cols + kWideGroup - 1) / kWideGroup;
    std::size_t first_steps[kMostTurnedStrips] = {};
    std::conditional_t<Choose::kQuads, TurnedGroup, NoQuads> quads;
    for (std::size_t group = 0; group < n_groups; ++group) {
      const TurnedGroup& x = group_for(group_at(group), least(kWideGroup, cols - group * kWideGroup), quads);
      const TurnedGroup* const following = group + 1 < n_groups ? &group_at.next(group) : next;
      for (std::uint32_t i = 0; i < n_strips_; ++i) {
        if (following != nullptr) fetch_lines(*following, i);
        choose(strips_[i], [&]<class Steps>() {
          if (n_strips_ - i > 2) Strip::template fetch_header<Steps>(strips_[i + 2], group);
          if (n_strips_ - i > 1) Strip::template fetch_steps<Steps>(strips_[i + 1], n_groups, group, first_steps[i + 1]);
          Strip::template run<Steps>(strips_[i], n_groups, group, first_steps[i], x, add, out + std::size_t{i} * kStripRows * kTurnedTokens);
        });
      }
    }
  }

  /// A share of the lines, to L2: they are read in no order that a processor could foresee.
  void fetch_lines(const TurnedGroup& group, std::uint32_t strip) const {
    const std::size_t begin = kWideGroup * strip / n_strips_, end = kWideGroup * (strip + 1) / n_strips_;
    for (std::size_t line = begin; line < end; ++line) __builtin_prefetch(group.lines[line], 0, 2);
  }

  static const TurnedGroup& group_for(const TurnedGroup& group, std::size_t, NoQuads&) { return group; }
  static const TurnedGroup& group_for(const TurnedGroup& group, std::size_t n_columns, TurnedGroup& quads) {
    if (group.quads) return group;
    interleave_group<T>(group, n_columns, quads);
    __builtin_memcpy(quads.scales, group.scales, sizeof(quads.scales));
    return quads;
  }

  const std::byte* strips_[kMostTurnedStrips];
  std::uint32_t n_strips_ = 0;
};

template <class V, class T, class Choose, bool Add>
void multiply_turned(std::span<const StripRange> strips, const TurnedGroup* groups, const TurnedGroup* next, int n_tokens, float* out) {
  if (strips.empty()) return;
  const std::size_t cols = strips.front().matrix->cols;
  struct {
    const TurnedGroup* groups;
    const TurnedGroup& operator()(std::size_t group) const { return groups[group]; }
    const TurnedGroup& next(std::size_t group) const { return groups[group + 1]; }
  } const group_at{groups};
  TurnedTile<V, T> tile;
  const auto multiply = [&](const TurnedGroup* after) {
    tile.multiply(cols, group_at, after, n_tokens, Add, out, Choose());
    out = tile.clear(out);
  };
  for (const StripRange& range : strips) {
    for (std::uint32_t s = range.first; s < range.last; ++s) {
      if (tile.is_full()) multiply(groups);
      tile.add(range.matrix->strip(s));
    }
  }
  if (!tile.is_empty()) multiply(next);
}

/// Tokens [token, token + count) of a group. What is past the last token is as the first, and nobody's.
template <class T>
void turn_tokens(const Activations& activations, int token, int count, std::size_t group, bool quads, TurnedGroup& to) {
  const std::uint8_t* rows[kTurnedTokens];
  for (int t = 0; t < kTurnedTokens; ++t) {
    const int which = token + (t < count ? t : 0);
    const WideGroup& row = activations.wide[group * activations.wide_rows +
                                            static_cast<std::size_t>(activations.rows != nullptr ? activations.rows[which] : which)];
    rows[t] = row.bytes;
    to.scales[t] = row.scale;
  }
  to.quads = quads;
  if (quads) T::turn_rows_to_quads(rows, to);
  else T::turn_rows(rows, to);
}

template <class T>
void turn_group(const Activations& activations, int n_tokens, std::size_t group, bool quads, TurnedGroup& to) {
  turn_tokens<T>(activations, 0, n_tokens, group, quads, to);
}

template <class T, bool Add>
void turn_back_columns(const float* turned, std::size_t n_columns, int n_tokens, float* out, std::size_t out_stride) {
  // A strip's 16 columns are one cache line of each row, and rows mostly fall into the same cache set: of more rows at a time
  // lines that are on their way for a store would push each other out.
  constexpr std::size_t kColumns = 128;  // measured: 64 are slower, and of more columns the lines that four rows share do not stay in L1
  for (int begin = 0; begin < n_tokens; begin += 16)
    for (std::size_t first = 0; first < n_columns; first += kColumns)
      for (int t = begin; t < least(begin + 16, n_tokens); t += 4)
        for (std::size_t column = first; column < least(first + kColumns, n_columns); column += kStripRows)
          T::template turn_4<Add>(turned + column * kTurnedTokens + t, kTurnedTokens, n_tokens - t, out + static_cast<std::size_t>(t) * out_stride + column, out_stride);
}

/// The row form of the product, through the turned one.
template <class V, class T, bool Add, class Choose>
void turn_and_multiply(const MatrixView& matrix, std::uint32_t first, std::uint32_t last, const Activations& activations, int token, int count,
                       float* out, std::size_t out_stride, const Choose& choose) {
  TurnedGroup x;
  alignas(64) float results[kMostTurnedStrips * kStripRows * kTurnedTokens];
  struct {
    const Activations& activations;
    int token, count;
    TurnedGroup& x;
    const TurnedGroup& operator()(std::size_t group) const {
      turn_tokens<T>(activations, token, count, group, Choose::kQuads, x);
      return x;
    }
    const TurnedGroup& next(std::size_t) const { return x; }
  } const group_at{activations, token, count, x};
  for (std::uint32_t s = first; s < last; s += least(last - s, kMostTurnedStrips)) {
    const std::uint32_t n_strips = least(last - s, kMostTurnedStrips);
    TurnedTile<V, T> tile;
    for (std::uint32_t i = 0; i < n_strips; ++i) tile.add(matrix.strip(s + i));
    tile.multiply(matrix.cols, group_at, nullptr, count, false, results, choose);
    float* const to = out + std::size_t{s} * kStripRows;
    turn_back_columns<T, Add>(results, n_strips * kStripRows, count, to, out_stride);
  }
}

/// quantize_wide of a block of tokens, from (columns, kTurnedTokens).
template <class V, class T>
void quantize_turned_columns(const float* values, std::size_t n_columns, bool quads, TurnedGroup& to) {
  using F = typename V::F;
  using I = typename V::I;
  constexpr int kVectors = kTurnedTokens / 16;
  F largest[kVectors], scale[kVectors];
  for (int v = 0; v < kVectors; ++v) largest[v] = V::zero();
  for (std::size_t column = 0; column < n_columns; ++column)
    for (int v = 0; v < kVectors; ++v) largest[v] = V::max(largest[v], V::abs(V::load(values + column * kTurnedTokens + 16 * v)));
  for (int v = 0; v < kVectors; ++v) {
    scale[v] = V::div(largest[v], V::set(127.0f));
    V::store(to.scales + 16 * v, scale[v]);
    unsigned used = 0;
    for (int t = 0; t < 16; ++t) used |= static_cast<unsigned>(to.scales[16 * v + t] != 0.0f) << t;
    scale[v] = V::select(used, scale[v], V::set(1.0f));  // tokens of zeros
  }
  const auto quantized = [&](std::size_t column, int v) __attribute__((always_inline)) {
    if (column >= n_columns) return V::zero_i();
    // What has no scale is so near to 0 that it is 0 here too.
    const F steps = V::div(V::load(values + column * kTurnedTokens + 16 * v), scale[v]);
    return V::to_int(V::min(V::max(steps, V::set(-127.0f)), V::set(127.0f)));
  };
  to.quads = quads;
  for (std::size_t column = 0; !quads && column < kWideGroup; ++column) {
    I q[kVectors];
    for (int v = 0; v < kVectors; ++v) q[v] = quantized(column, v);
    T::store_line(to.lines[column], q);
  }
  for (std::size_t column = 0; quads && column < kWideGroup; column += kQuadColumns) {
    for (int v = 0; v < kVectors; ++v) {
      const I zeros = V::set_i(static_cast<std::int32_t>(0x80808080u));
      const I low = V::add_i(quantized(column, v), V::template shift_left<8>(quantized(column + 1, v)));
      const I high = V::add_i(quantized(column + 2, v), V::template shift_left<8>(quantized(column + 3, v)));
      V::store_i(reinterpret_cast<std::int32_t*>(to.lines[column + static_cast<std::size_t>(v)]),
                 V::add_i(zeros, V::add_i(low, V::template shift_left<16>(high))));
    }
  }
}

/// values (columns, kTurnedTokens): what `columns` has for each is added.
template <class V>
void add_to_turned(float* values, const float* columns, std::size_t n_columns) {
  for (std::size_t column = 0; column < n_columns; ++column)
    for (int t = 0; t < kTurnedTokens; t += 16, values += 16) V::store(values, V::add(V::load(values), V::set(columns[column])));
}

}  // namespace colonnade::engine
