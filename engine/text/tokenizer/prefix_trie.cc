#include "engine/text/tokenizer/prefix_trie.h"

#include "engine/text/tokenizer/string_ids.h"

namespace colonnade::engine {

PrefixTrie::PrefixTrie() : values_(1, -1), edges_(16), multiplier_(hash_number(0) | 1) {}

void PrefixTrie::add_edge(std::uint32_t from, std::uint32_t to) {
  std::size_t i = place(from);
  while (edges_[i].from != 0) i = (i + 1) & (edges_.size() - 1);
  edges_[i] = {from, to};
}

bool PrefixTrie::insert(std::string_view key, std::int32_t value) {
  constexpr std::size_t kMostNodes = 1 << 24;
  if (values_.size() + key.size() > kMostNodes) return false;
  std::uint32_t node = 0;
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    std::uint32_t next = node == 0 ? first_[byte] : child(node, byte);
    if (next == 0) {
      next = static_cast<std::uint32_t>(values_.size());
      values_.push_back(-1);
      if (node == 0) {
        first_[byte] = next;
      } else {
        if (2 * (n_edges_ + 1) > edges_.size()) {
          std::vector<Edge> before(edges_.size() * 2);
          before.swap(edges_);
          for (const Edge& edge : before) {
            if (edge.from != 0) add_edge(edge.from, edge.to);
          }
        }
        add_edge(node << 8 | byte, next);
        ++n_edges_;
      }
    }
    node = next;
  }
  if (values_[node] < 0) values_[node] = value;
  return true;
}

PrefixTrie::Found PrefixTrie::longest_prefix(std::string_view text) const {
  Found found;
  for_each_prefix(text, [&](std::size_t size, std::int32_t value) { found = {size, value}; });
  return found;
}

}  // namespace colonnade::engine
