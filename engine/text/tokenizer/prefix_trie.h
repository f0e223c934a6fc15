// Which of many strings a text begins with: a trie whose edges lie in one hash table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace colonnade::engine {

/// Immutable once filled, then thread-safe.
class PrefixTrie {
 public:
  PrefixTrie();
  /// False when there is no room (2^24 nodes). A key that is there keeps its value. Values are not negative, keys not
  /// empty.
  bool insert(std::string_view key, std::int32_t value);
  bool empty() const { return values_.size() == 1; }
  bool may_begin(char byte) const { return first_[static_cast<unsigned char>(byte)] != 0; }

  /// Calls visit(size, value) for every key that `text` begins with, shortest first.
  template <typename Visit>
  void for_each_prefix(std::string_view text, Visit visit) const {
    if (text.empty()) return;
    std::uint32_t node = first_[static_cast<unsigned char>(text[0])];
    for (std::size_t size = 1; node != 0; ++size) {
      if (values_[node] >= 0) visit(size, values_[node]);
      if (size == text.size()) return;
      node = child(node, static_cast<unsigned char>(text[size]));
    }
  }
  struct Found {
    std::size_t size = 0;  // 0: none
    std::int32_t value = -1;
  };
  Found longest_prefix(std::string_view text) const;

 private:
  struct Edge {
    std::uint32_t from = 0;  // node << 8 | byte; 0 (the root, which has its own table) means free
    std::uint32_t to = 0;
  };
  std::uint32_t child(std::uint32_t node, unsigned char byte) const {
    const std::uint32_t from = node << 8 | byte;
    for (std::size_t i = place(from);; i = (i + 1) & (edges_.size() - 1)) {
      if (edges_[i].from == from) return edges_[i].to;
      if (edges_[i].from == 0) return 0;
    }
  }
  std::size_t place(std::uint32_t from) const { return (from * multiplier_) >> shift_ & (edges_.size() - 1); }
  void add_edge(std::uint32_t from, std::uint32_t to);

  std::array<std::uint32_t, 256> first_{};
  std::vector<std::int32_t> values_;  // by node; -1: no key ends here
  std::vector<Edge> edges_;           // a power of two, at most half full
  std::size_t n_edges_ = 0;
  std::uint64_t multiplier_;  // odd, another one in each process
  int shift_ = 32;
};

}  // namespace colonnade::engine
