#include "tests/fuzz/grammar_steps.h"

#include <bit>
#include <string>
#include <vector>

#include "engine/text/grammar/token_grammar.h"

namespace colonnade::tests {
namespace {

std::shared_ptr<const engine::TokenTrie> vocabulary() {
  static const auto trie = [] {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
    for (const char* token : {"\",\"", "\":", "{\"", "]}", "12", "true", "ab", "abc", "\n  ", "\xE2\x82", "\xC3\xA9", "}}}}", "[[[[["}) tokens.emplace_back(token);
    return std::make_shared<const engine::TokenTrie>(tokens);
  }();
  return trie;
}

}  // namespace

void take_steps(const engine::Grammar& grammar) {
  engine::TokenGrammarLimits limits;
  limits.max_positions = 1 << 14;
  limits.max_edges = 1 << 17;
  limits.max_items = 1 << 10;
  limits.memory_bytes = 1 << 20;
  const auto compiled = engine::TokenGrammar::compile(grammar, vocabulary(), limits);
  if (!compiled.ok()) return;
  engine::GrammarMatcher matcher(*compiled);
  std::vector<std::uint32_t> bits(vocabulary()->mask_words());
  std::uint64_t random = 1;
  for (int step = 0; step < 24; ++step) {
    const std::size_t count = matcher.mask(bits);
    if (count == 0) return;
    random = random * 6364136223846793005u + 1442695040888963407u;
    std::size_t skip = (random >> 33) % count;
    std::size_t word = 0;
    while (skip >= static_cast<std::size_t>(std::popcount(bits[word]))) skip -= static_cast<std::size_t>(std::popcount(bits[word++]));
    std::uint32_t left = bits[word];
    for (; skip > 0; --skip) left &= left - 1;
    // Too many readings are refused in accept() as well, but those need more work than the mask did.
    const bool taken = matcher.accept(static_cast<std::int32_t>(word * 32) + std::countr_zero(left));
    COLONNADE_CHECK(taken, "a mask allowed a token that is then refused");
  }
}

}  // namespace colonnade::tests
