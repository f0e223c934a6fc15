// Texts drawn at random from what masks allow.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "engine/text/grammar/token_grammar.h"

namespace colonnade::tests {

/// The tokens whose bits are set.
std::vector<std::int32_t> allowed_tokens(engine::GrammarMatcher& matcher, const engine::TokenTrie& vocabulary);

/// Every allowed token is as likely as any other; in the second half, what closes JSON comes first. Ends where the text is
/// complete, with probability `end` where it could go on, too, and after `max_tokens`.
struct Walk {
  std::string text;
  bool complete = false;
  int tokens = 0;
};
Walk random_walk(const std::shared_ptr<const engine::TokenGrammar>& grammar, const engine::TokenTrie& vocabulary, std::mt19937& random,
                 int max_tokens, double end = 0.5);

/// Whether the whole text is one of the grammar's, byte by byte.
bool matches(const std::shared_ptr<const engine::TokenGrammar>& grammar, std::string_view text);

/// A vocabulary with each byte as a token, and these.
std::vector<std::string> bytes_and(const std::vector<std::string>& tokens);

/// A tokenizer of ../shared, or nullptr when it cannot be read.
std::shared_ptr<const engine::TokenTrie> shared_vocabulary(const char* name);

}  // namespace colonnade::tests
