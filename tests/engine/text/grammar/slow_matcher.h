// A grammar read in the plainest way: sets of stacks of expressions, one byte at a time. What the automaton is compared with.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "engine/text/grammar/grammar.h"

namespace colonnade::tests {

/// The grammar must have no left recursion and nothing that leads nowhere. Copies go different ways.
class SlowMatcher {
 public:
  explicit SlowMatcher(const engine::Grammar& grammar);

  void push(std::span<const std::uint8_t> bytes);
  bool alive() const { return !stacks_.empty(); }
  bool complete() const;

 private:
  /// expression, (literal) bytes done or (repetition) least and most that are left, bytes of an unfinished character
  using Frame = std::tuple<engine::GrammarExpr, int, int, std::string>;
  using Stack = std::vector<Frame>;  // the next one last

  void expand(Stack stack, std::set<Stack>& seen, std::set<Stack>& out) const;
  void push_byte(std::uint8_t byte);

  const engine::Grammar* grammar_;
  std::set<Stack> stacks_;  // each begins with a literal or a character, or is empty
};

}  // namespace colonnade::tests
