#include "tests/engine/text/grammar/grammar_walk.h"

#include <bit>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "engine/text/tokenizer.h"
#include "tests/support/shared_data.h"

namespace colonnade::tests {

std::vector<std::int32_t> allowed_tokens(engine::GrammarMatcher& matcher, const engine::TokenTrie& vocabulary) {
  std::vector<std::uint32_t> bits(vocabulary.mask_words(), 0xFFFFFFFFu);
  const std::size_t count = matcher.mask(bits);
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < bits.size(); ++i)
    for (std::uint32_t word = bits[i]; word != 0; word &= word - 1)
      out.push_back(static_cast<std::int32_t>(i * 32) + std::countr_zero(word));
  CHECK(out.size() == count);
  return out;
}

Walk random_walk(const std::shared_ptr<const engine::TokenGrammar>& grammar, const engine::TokenTrie& vocabulary, std::mt19937& random,
                 int max_tokens, double end) {
  engine::GrammarMatcher matcher(grammar);
  Walk walk;
  std::uniform_real_distribution<double> uniform(0, 1);
  for (; walk.tokens < max_tokens; ++walk.tokens) {
    walk.complete = matcher.may_end();
    if (walk.complete && (!matcher.may_continue() || uniform(random) < end)) return walk;
    const auto allowed = allowed_tokens(matcher, vocabulary);
    REQUIRE_FALSE(allowed.empty());
    std::int32_t token = allowed[std::uniform_int_distribution<std::size_t>(0, allowed.size() - 1)(random)];
    if (2 * walk.tokens > max_tokens) {
      // Uniform choices open more than they close.
      std::size_t best = 6;
      for (const std::int32_t other : allowed)
        if (vocabulary.bytes(other).size() == 1)
          if (const std::size_t rank = std::string_view("\"}]@.0").find(static_cast<char>(vocabulary.bytes(other)[0])); rank < best) {
            best = rank;
            token = other;
          }
    }
    const auto bytes = vocabulary.bytes(token);
    walk.text.append(bytes.begin(), bytes.end());
    REQUIRE(matcher.accept(token));
  }
  walk.complete = matcher.may_end();
  return walk;
}

bool matches(const std::shared_ptr<const engine::TokenGrammar>& grammar, std::string_view text) {
  engine::GrammarMatcher matcher(grammar);
  return matcher.accept_bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}) && matcher.may_end();
}

std::vector<std::string> bytes_and(const std::vector<std::string>& tokens) {
  std::vector<std::string> out;
  for (int byte = 0; byte < 256; ++byte) out.emplace_back(1, static_cast<char>(byte));
  out.insert(out.end(), tokens.begin(), tokens.end());
  return out;
}

std::shared_ptr<const engine::TokenTrie> shared_vocabulary(const char* name) {
  if (shared_data().empty()) return nullptr;
  std::ifstream file(shared_data() / "data/tokenizers" / name / "tokenizer.json", std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  const auto tokenizer = engine::load_tokenizer_json(content.str());
  if (!tokenizer.ok()) return nullptr;
  return std::make_shared<engine::TokenTrie>(**tokenizer, (*tokenizer)->vocab_size());
}

}  // namespace colonnade::tests
