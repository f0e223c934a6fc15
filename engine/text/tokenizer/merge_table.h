// The merge loop of byte-pair encoding: always the pair of neighbours with the lowest rank, the leftmost first.
// Time is O(n log n) in the number of symbols: short words by looking for the lowest rank again and again, long ones with
// a heap of pairs over a linked list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/text/tokenizer/string_ids.h"

namespace colonnade::engine {

/// Immutable once filled, then thread-safe.
class MergeTable {
 public:
  enum class Repeated { kKeepsFirst, kTakesLast };
  /// Merges of lower rank come first; equal ranks go from left to right.
  void add(std::int32_t left, std::int32_t right, std::int32_t rank, std::int32_t merged,
           Repeated repeated = Repeated::kKeepsFirst);
  void reserve(std::size_t merges);

  /// Replaces `symbols` by what is left when no pair of neighbours can be merged.
  void apply(std::vector<std::int32_t>& symbols) const;

 private:
  struct Merge {
    std::int32_t rank;
    std::int32_t merged;
  };
  struct Slot {
    std::uint64_t pair = kFree;
    Merge merge{};
  };
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};  // symbols are not negative
  static constexpr Merge kNoMerge{INT32_MAX, -1};

  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
  }
  std::size_t place(std::uint64_t pair) const;
  Merge find(std::int32_t left, std::int32_t right) const;
  void rehash(std::size_t n_slots);
  void apply_to_few(std::vector<std::int32_t>& symbols) const;
  void apply_to_many(std::vector<std::int32_t>& symbols) const;

  std::vector<Slot> slots_;
  std::size_t n_merges_ = 0;
};

/// The merges of a vocabulary whose tokens have ranks instead of a list of merges (SentencePiece, tiktoken): any two
/// symbols that together are a token merge, with that token's rank. `symbol_of` gives the symbol of a token's half, or
/// -1; halves end at the borders that `next_border(token, at)` names.
template <typename SymbolOf, typename NextBorder>
void add_merges_of_token(std::string_view token, std::int32_t id, std::int32_t rank, MergeTable& merges,
                         SymbolOf symbol_of, NextBorder next_border) {
  for (std::size_t at = next_border(token, 0); at < token.size(); at = next_border(token, at)) {
    const std::int32_t left = symbol_of(token.substr(0, at));
    if (left < 0) continue;
    const std::int32_t right = symbol_of(token.substr(at));
    if (right >= 0) merges.add(left, right, rank, id);
  }
}

}  // namespace colonnade::engine
