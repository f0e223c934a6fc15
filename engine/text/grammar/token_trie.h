// A vocabulary as a trie of its tokens' bytes, in the order of a walk: what masks are computed with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace colonnade::engine {

class Tokenizer;

/// Immutable, thread-safe.
class TokenTrie {
 public:
  /// The bytes of token i are token_bytes[i]; tokens without bytes are never allowed by a grammar.
  explicit TokenTrie(std::span<const std::string> token_bytes);
  /// Of a model with vocab_size tokens: those that the tokenizer does not know have no bytes.
  TokenTrie(const Tokenizer& tokenizer, int vocab_size);

  int vocab_size() const { return static_cast<int>(starts_.size()) - 1; }
  /// Words of a mask with one bit for each token: bit i % 32 of word i / 32.
  std::size_t mask_words() const { return (static_cast<std::size_t>(vocab_size()) + 31) / 32; }
  std::size_t longest_token() const { return longest_; }
  std::span<const std::uint8_t> bytes(std::int32_t token) const;

  /// Nodes in preorder, children by byte; the root is left out. Node i has the tokens [first_token[i],
  /// first_token[i + 1]) of `tokens`, and [i + 1, end) are the nodes below it.
  struct Node {
    std::uint8_t byte;
    std::uint32_t end;
  };
  std::span<const Node> nodes() const { return nodes_; }
  /// Bytes from the root to the node, and of the longest token at or below it.
  std::size_t depth(std::size_t node) const { return depths_[node]; }
  std::size_t deepest(std::size_t node) const { return deepest_[node]; }
  /// All tokens that have bytes, the longest first.
  std::span<const std::int32_t> by_length() const { return by_length_; }
  std::span<const std::int32_t> tokens(std::size_t node) const {
    return std::span(tokens_).subspan(first_token_[node], first_token_[node + 1] - first_token_[node]);
  }

 private:
  void build();
  std::vector<std::uint8_t> bytes_;        // of all tokens, one after another
  std::vector<std::uint32_t> starts_;      // vocab_size + 1
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> first_token_;  // nodes + 1
  std::vector<std::int32_t> tokens_;
  std::vector<std::uint32_t> depths_, deepest_;  // by node
  std::vector<std::int32_t> by_length_;
  std::size_t longest_ = 0;
};

}  // namespace colonnade::engine
