// The merge loop of byte-pair encoding: always the pair of neighbours with the lowest rank, the leftmost first.
// Time is O(n log n) in the number of symbols: a heap of pairs over a linked list of symbols.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace colonnade::engine {

class MergeTable {
 public:
  /// Merges of lower rank come first. A pair that is there keeps its first rank.
  void add(std::int32_t left, std::int32_t right, std::int32_t rank, std::int32_t merged);
  void reserve(std::size_t merges) { merges_.reserve(merges); }

  /// Replaces `symbols` by what is left when no pair of neighbours can be merged.
  void apply(std::vector<std::int32_t>& symbols) const;

 private:
  struct Merge {
    std::int32_t rank;
    std::int32_t merged;
  };
  const Merge* find(std::int32_t left, std::int32_t right) const;

  std::unordered_map<std::uint64_t, Merge> merges_;
};

}  // namespace colonnade::engine
