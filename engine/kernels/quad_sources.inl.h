// How the strips of a format become quads of int8 weights + 128: 64 bytes, 16 rows x 4 columns. One type a format,
// with what it needs to walk forward through a strip; multiplication is the same for all (strips_int8.inl.h).
//
// A source gives the quads of one activation group after the other (next), or two at a time (kPaired): those of the two
// groups of a block side by side, and of a half block, after begin_half_block, the first eight beside the last eight.
// kGroupScales says that scale(half) holds for the current block, in place of one scale a row at the end.
#pragma once

#include <cstring>

#include "engine/formats/strip_layout.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {

/// Bytes ahead that are fetched while a strip is streamed for few tokens.
inline constexpr std::size_t kPrefetchBytes = 4096;

/// A strip, how far away the next one of its matrix begins, and about how long either is.
struct StripPlace {
  const std::byte* at;
  std::size_t distance;
  std::size_t bytes;
};

[[gnu::always_inline]] inline StripPlace strip_place(const MatrixView& matrix, std::uint32_t s) {
  const std::size_t distance = matrix.strip_offsets[s + 1] - matrix.strip_offsets[s];
  return {matrix.base + matrix.strip_offsets[s], distance, distance / matrix.alternating};
}

/// Fetches what follows a strip while it is walked through. Masks and values of a bitmask strip are two streams that
/// begin anew with every strip: what comes next is fetched a strip ahead, in file order, an equal part with every quad.
class NextStrip {
 public:
  NextStrip(const StripPlace& strip, std::size_t n_fetches)
      : at_(strip.at + (strip.distance > kLeastAhead ? strip.distance : kLeastAhead)),
        part_((strip.bytes + n_fetches - 1) / n_fetches) {}

  [[gnu::always_inline]] void fetch() {
    __builtin_prefetch(at_, 0, 2);
    at_ += part_;
  }

 private:
  static constexpr std::size_t kLeastAhead = 12288;
  const std::byte* at_;
  std::size_t part_;
};

/// int4 weights come as 16 times their value.
inline constexpr float kInt4Factor = 1.0f / 16;

template <class V>
class Int8Source {
 public:
  static constexpr bool kPaired = false, kGroupScales = false;
  Int8Source(const StripPlace& strip, std::size_t /*cols*/) : at_(strip.at + kInt8HeaderBytes) {}

  [[gnu::always_inline]] typename V::Raw next() {
    __builtin_prefetch(at_ + kPrefetchBytes);
    const typename V::Raw quad = V::raw_load(at_);
    at_ += kInt8QuadBytes;
    return quad;
  }

 private:
  const std::byte* at_;
};

template <class V>
class BitmaskInt8Source {
 public:
  static constexpr bool kPaired = false, kGroupScales = false;
  BitmaskInt8Source(const StripPlace& strip, std::size_t cols)
      : next_strip_(strip, (cols + kInt8ColumnGranule - 1) / kInt8ColumnGranule), masks_(strip.at + kInt8HeaderBytes),
        values_(masks_ + (cols + kActivationGroup - 1) / kActivationGroup * sizeof(BitmaskGroup)) {}

  [[gnu::always_inline]] typename V::Raw next() {
    std::uint64_t mask;
    std::memcpy(&mask, masks_, sizeof(mask));
    next_strip_.fetch();
    const typename V::Raw quad = V::template raw_expand<Nibble::kBoth>(mask, values_);
    masks_ += sizeof(mask);
    values_ += __builtin_popcountll(mask);
    return quad;
  }

 private:
  NextStrip next_strip_;
  const std::byte* masks_;
  const std::byte* values_;
};

template <class V>
class Int4Source {
 public:
  static constexpr bool kPaired = true, kGroupScales = true;
  Int4Source(const StripPlace& strip, std::size_t /*cols*/) : scales_(strip.at), at_(strip.at + sizeof(Int4Block::scales)) {}

  [[gnu::always_inline]] void next(typename V::Raw& first, typename V::Raw& second) {
    __builtin_prefetch(at_ + kPrefetchBytes);
    const typename V::Raw both = V::raw_load(at_);
    first = V::raw_high(both);
    second = V::raw_low(both);
    at_ += kInt8QuadBytes;
  }
  template <int Half>
  [[gnu::always_inline]] typename V::F scale() const { return V::template load_bf16_pair<Half == 1>(scales_); }
  [[gnu::always_inline]] typename V::F half_block_scale() const { return V::load_bf16(reinterpret_cast<const std::uint16_t*>(scales_)); }
  void begin_half_block() { at_ = scales_ + sizeof(Int4HalfBlock::scales); }
  void end_block() {
    scales_ += sizeof(Int4Block);
    at_ = scales_ + sizeof(Int4Block::scales);
  }

 private:
  const std::byte* scales_;
  const std::byte* at_;
};

template <class V>
class BitmaskInt4Source {
 public:
  static constexpr bool kPaired = true, kGroupScales = true;
  BitmaskInt4Source(const StripPlace& strip, std::size_t cols)
      : next_strip_(strip, n_whole_int4_blocks(cols) * kGroupQuads + (has_half_int4_block(cols) ? kGroupQuads / 2 : 0)),
        block_(strip.at), mask_(strip.at + sizeof(BitmaskInt4Block::scales)) {
    high_ = low_ = strip.at + n_whole_int4_blocks(cols) * sizeof(BitmaskInt4Block) +
                   (has_half_int4_block(cols) ? sizeof(BitmaskInt4HalfBlock) : 0);
  }

  [[gnu::always_inline]] void next(typename V::Raw& first, typename V::Raw& second) {
    std::uint64_t a, b;
    std::memcpy(&a, mask_, sizeof(a));
    std::memcpy(&b, mask_ + low_masks_, sizeof(b));
    next_strip_.fetch();
    first = V::template raw_expand<Nibble::kHigh>(a, high_);
    second = V::template raw_expand<Nibble::kLow>(b, low_);
    mask_ += sizeof(a);
    high_ += __builtin_popcountll(a);
    low_ += __builtin_popcountll(b);
  }
  template <int>
  [[gnu::always_inline]] typename V::F scale() const { return V::load_bf16(reinterpret_cast<const std::uint16_t*>(block_)); }
  [[gnu::always_inline]] typename V::F half_block_scale() const { return scale<0>(); }
  void begin_half_block() { low_masks_ = kGroupQuads / 2 * sizeof(std::uint64_t); }
  void end_block() {
    block_ += sizeof(BitmaskInt4Block);
    mask_ = block_ + sizeof(BitmaskInt4Block::scales);
    high_ = low_ = high_ > low_ ? high_ : low_;
  }

 private:
  NextStrip next_strip_;
  const std::byte* block_;
  const std::byte* mask_;
  const std::byte* high_;
  const std::byte* low_;
  std::size_t low_masks_ = kGroupQuads * sizeof(std::uint64_t);  // behind those of values in high nibbles
};

}  // namespace colonnade::engine
