#include "engine/text/grammar/token_trie.h"

#include <algorithm>
#include <numeric>

#include "engine/text/tokenizer.h"

namespace colonnade::engine {

TokenTrie::TokenTrie(std::span<const std::string> token_bytes) {
  starts_.push_back(0);
  for (const std::string& token : token_bytes) {
    bytes_.insert(bytes_.end(), token.begin(), token.end());
    starts_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  }
  build();
}

TokenTrie::TokenTrie(const Tokenizer& tokenizer, int vocab_size) {
  starts_.push_back(0);
  for (std::int32_t token = 0; token < vocab_size; ++token) {
    const std::string one = token < tokenizer.vocab_size() ? tokenizer.token_bytes(token) : std::string();
    bytes_.insert(bytes_.end(), one.begin(), one.end());
    starts_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  }
  build();
}

std::span<const std::uint8_t> TokenTrie::bytes(std::int32_t token) const {
  const auto i = static_cast<std::size_t>(token);
  return std::span(bytes_).subspan(starts_[i], starts_[i + 1] - starts_[i]);
}

void TokenTrie::build() {
  std::vector<std::int32_t> order(starts_.size() - 1);
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](std::int32_t token) { return bytes(token).empty(); });
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    const auto x = bytes(a), y = bytes(b);
    return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
  });
  // Sorted tokens are a preorder walk: each new one leaves the nodes below what it shares with the one before.
  std::vector<std::uint32_t> path;
  std::span<const std::uint8_t> before;
  const auto leave = [&](std::size_t depth) {
    for (; path.size() > depth; path.pop_back()) {
      nodes_[path.back()].end = static_cast<std::uint32_t>(nodes_.size());
      if (path.size() > 1) deepest_[path[path.size() - 2]] = std::max(deepest_[path[path.size() - 2]], deepest_[path.back()]);
    }
  };
  for (const std::int32_t token : order) {
    const auto mine = bytes(token);
    longest_ = std::max(longest_, mine.size());
    const auto shared = static_cast<std::size_t>(std::mismatch(before.begin(), before.end(), mine.begin(), mine.end()).second - mine.begin());
    leave(shared);
    for (std::size_t i = shared; i < mine.size(); ++i) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back({mine[i], 0});
      depths_.push_back(static_cast<std::uint32_t>(i + 1));
      deepest_.push_back(static_cast<std::uint32_t>(i + 1));  // every node leads to a token
      first_token_.push_back(static_cast<std::uint32_t>(tokens_.size()));
    }
    tokens_.push_back(token);
    before = mine;
  }
  leave(0);
  first_token_.push_back(static_cast<std::uint32_t>(tokens_.size()));
  by_length_ = tokens_;
  std::stable_sort(by_length_.begin(), by_length_.end(), [&](std::int32_t a, std::int32_t b) { return bytes(a).size() > bytes(b).size(); });
}

}  // namespace colonnade::engine
