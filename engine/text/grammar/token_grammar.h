// A grammar compiled for a vocabulary, and one generation's way through it: which tokens may come next.
//
// The grammar becomes a pushdown automaton over bytes. Its stacks are shared and merged (a graph-structured stack, Tomita
// 1985), and what follows from them is remembered, so ambiguous grammars stay cheap. Masks follow XGrammar (Dong et al.
// 2024): for most tokens the answer depends on the place within the current rule only and is kept by place; only tokens
// that reach beyond the end of the rule are looked at again with the whole stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/base/result.h"
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/token_trie.h"

namespace colonnade::engine {

struct TokenGrammarLimits {
  std::size_t max_positions = std::size_t{1} << 17;  // places in all rules together
  std::size_t max_edges = std::size_t{1} << 21;
  int max_depth = 256;                               // of rules within rules; deeper texts are not generated
  std::size_t max_items = std::size_t{1} << 14;      // ways to read one text at the same time
  std::size_t memory_bytes = std::size_t{32} << 20;  // of what is remembered; then it is forgotten
};

class GrammarTable;

/// Thread-safe; shared by all generations with this grammar.
class TokenGrammar {
 public:
  /// kInvalidArgument for a grammar that matches nothing, or with a left-recursive rule (named); kExhausted beyond the
  /// limits.
  static Result<std::shared_ptr<const TokenGrammar>> compile(const Grammar& grammar,
                                                             std::shared_ptr<const TokenTrie> vocabulary,
                                                             const TokenGrammarLimits& limits = {});
  ~TokenGrammar();
  TokenGrammar(const TokenGrammar&) = delete;
  TokenGrammar& operator=(const TokenGrammar&) = delete;

  /// Computes masks ahead, as a generation would meet them first, for at most about `seconds`.
  void warm_up(double seconds) const;

  /// Of everything, now.
  std::size_t memory_bytes() const;

 private:
  friend class GrammarMatcher;
  struct State;
  explicit TokenGrammar(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// One generation. Not thread-safe; different matchers of a grammar may be used by different threads.
class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const TokenGrammar> grammar);
  ~GrammarMatcher();
  GrammarMatcher(GrammarMatcher&&) noexcept;
  GrammarMatcher& operator=(GrammarMatcher&&) noexcept;

  /// Sets the bits of the tokens that may come next and clears all others; mask_words() words. Returns how many may.
  std::size_t mask(std::span<std::uint32_t> bits);
  /// The token was chosen. False when it is not allowed, or the text can be read in more ways than the limit; the
  /// matcher then allows nothing more.
  bool accept(std::int32_t token);
  bool accept_bytes(std::span<const std::uint8_t> bytes);
  /// The text so far is complete: an end token may come.
  bool may_end() const;
  /// Something may follow, whether or not the text is complete.
  bool may_continue() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::engine
