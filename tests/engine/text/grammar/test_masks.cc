// Masks against the plainest reading of the grammar, token by token.
#include <catch2/catch.hpp>

#include "engine/text/grammar/gbnf.h"
#include "tests/engine/text/grammar/grammar_walk.h"
#include "tests/engine/text/grammar/slow_matcher.h"

using namespace colonnade;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

/// Tokens out of pieces that the grammars below use, whole and cut anywhere.
std::vector<std::string> made_up_tokens(std::mt19937& random) {
  const std::vector<std::string> pieces = {"a", "b", "ab", "aa", "(", ")", "((", "))", "()", "[", "]", "{", "}", "\"", "\\", "\",", ":", ",", "+", "*",
                                           "1", "12", " ", "\n", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xC3", "\xA9", "x", "end", "true"};
  std::vector<std::string> out;
  for (int i = 0; i < 300; ++i) {
    std::string token;
    for (std::size_t n = 1 + random() % 5; n > 0; --n) token += pieces[random() % pieces.size()];
    if (random() % 4 == 0) token.resize(1 + random() % token.size());
    out.push_back(token);
  }
  return bytes_and(out);
}

const char* const kGrammars[] = {
    // Recursion, ends of rules that tokens reach beyond.
    R"g(root ::= value
value ::= "(" value* ")" | "[" (value ("," value)*)? "]" | word
word ::= [a-b]+ | "\"" [^"\\]* "\"")g",
    // Two rules that look alike for long: stacks must be told apart, and merged.
    R"g(root ::= left | right
left ::= "(" left ")" | "(" left "]" | "a"
right ::= "(" right ")" | "[" right "]" | "ab"?)g",
    // Ambiguous to the utmost.
    R"g(root ::= part part part "end"
part ::= word? word? | "(" part ")"
word ::= [a-z]* [ab]*)g",
    // Precedence, as in calculators; right recursion.
    R"g(root ::= sum "\n"
sum ::= product ("+" sum)?
product ::= atom ("*" product)?
atom ::= [0-9]+ | "(" sum ")")g",
    // Characters of several bytes, and counting.
    R"g(root ::= ("é" | "€" | [^\x00-\x7F]){2,4} [^a]{1,3} .{0,2} "x"?)g",
    // Nothing, and nothing again.
    R"g(root ::= none* (none | "a" none){3} none
none ::= ("" | "b"?)?)g",
    // Long counts, whose places look alike for a while; in a rule of their own, so that tokens reach beyond.
    R"g(root ::= item (";" item)* [a-z]{3,12}
item ::= [ab(]{1,9} "x"? | "(" item ")" | "[" [ab\]]{4,7} "]" item)g",
    // The same beginning, three ends; a rule in the last place calls itself for ever.
    R"g(root ::= "a" tail | "ab" tail "x" | "aa" [ab]{0,5}
tail ::= "b" tail | "a" tail | "")g",
};

void compare(const Grammar& grammar, const TokenGrammarLimits& limits, std::mt19937& random) {
  const auto vocabulary = std::make_shared<TokenTrie>(made_up_tokens(random));
  const auto compiled = TokenGrammar::compile(grammar, vocabulary, limits);
  REQUIRE(compiled.ok());
  GrammarMatcher matcher(*compiled);
  SlowMatcher slow(grammar);
  for (int n = 0; n < 12; ++n) {
    REQUIRE(matcher.may_end() == slow.complete());
    std::vector<std::int32_t> expected;
    for (std::int32_t token = 0; token < vocabulary->vocab_size(); ++token) {
      SlowMatcher next = slow;
      next.push(vocabulary->bytes(token));
      if (next.alive()) expected.push_back(token);
    }
    REQUIRE(allowed_tokens(matcher, *vocabulary) == expected);
    REQUIRE(matcher.may_continue() == !expected.empty());
    if (expected.empty()) break;
    const std::int32_t token = expected[random() % expected.size()];
    REQUIRE(matcher.accept(token));
    slow.push(vocabulary->bytes(token));
  }
  // What is not allowed is refused, and then nothing is allowed any more.
  const auto allowed = allowed_tokens(matcher, *vocabulary);
  for (std::int32_t token = 0; token < vocabulary->vocab_size(); ++token) {
    if (std::binary_search(allowed.begin(), allowed.end(), token)) continue;
    CHECK_FALSE(matcher.accept(token));
    CHECK(allowed_tokens(matcher, *vocabulary).empty());
    CHECK_FALSE(matcher.may_end());
    break;
  }
}

}  // namespace

TEST_CASE("masks are what a plain reading of the grammar allows") {
  std::mt19937 random(7);
  for (const char* text : kGrammars) {
    const auto grammar = parse_gbnf(text);
    REQUIRE(grammar.ok());
    for (int walk = 0; walk < 4; ++walk) compare(*grammar, {}, random);
  }
}

TEST_CASE("masks stay right when everything is forgotten again and again") {
  std::mt19937 random(11);
  TokenGrammarLimits limits;
  limits.memory_bytes = 1;
  for (const char* text : kGrammars) {
    const auto grammar = parse_gbnf(text);
    REQUIRE(grammar.ok());
    compare(*grammar, limits, random);
  }
}

TEST_CASE("several matchers of one grammar do not disturb each other") {
  std::mt19937 random(3);
  const auto grammar = parse_gbnf(kGrammars[0]);
  const auto vocabulary = std::make_shared<TokenTrie>(made_up_tokens(random));
  const auto compiled = TokenGrammar::compile(*grammar, vocabulary);
  REQUIRE(compiled.ok());
  (*compiled)->warm_up(0.05);
  GrammarMatcher a(*compiled), b(*compiled);
  const std::string open = "((";
  REQUIRE(a.accept_bytes(std::span(reinterpret_cast<const std::uint8_t*>(open.data()), 2)));
  CHECK_FALSE(a.may_end());
  CHECK(allowed_tokens(b, *vocabulary) == [&] {
    GrammarMatcher fresh(*compiled);
    return allowed_tokens(fresh, *vocabulary);
  }());
}

TEST_CASE("texts are not nested deeper than the limit, and always come to an end") {
  const auto grammar = parse_gbnf(R"g(root ::= value
value ::= "[" value ("," value)* "]" | "{" value "}" | "1")g");
  TokenGrammarLimits limits;
  limits.max_depth = 12;
  const auto vocabulary = std::make_shared<TokenTrie>(bytes_and({"[[[[", "]]", "[[[[[[[[[[[[[[", "{{{{{{{{{{", "}}}}", "[{[{", "1]]]]]", "1,1"}));
  const auto compiled = TokenGrammar::compile(*grammar, vocabulary, limits);
  REQUIRE(compiled.ok());
  std::mt19937 random(5);
  std::size_t deepest = 0;
  int complete = 0;
  for (int i = 0; i < 200; ++i) {
    const Walk walk = random_walk(*compiled, *vocabulary, random, 400);
    std::size_t depth = 0, most = 0;
    for (const char c : walk.text) {
      depth += c == '[' || c == '{' ? 1 : 0;
      depth -= c == ']' || c == '}' ? 1 : 0;
      most = std::max(most, depth);
    }
    deepest = std::max(deepest, most);
    if (walk.complete) CHECK(depth == 0);
    complete += walk.complete ? 1 : 0;
  }
  CHECK(deepest == 12);  // the rule within each bracket is one call
  CHECK(complete > 100);
  limits.max_depth = 0;
  CHECK(TokenGrammar::compile(*parse_gbnf("root ::= a \"x\"\na ::= \"(\" [a-zA-Z0-9]{20,30} b \")\"\nb ::= \"(\" [a-zA-Z0-9]{20,30} \")\""), vocabulary, limits).ok() == false);
}

TEST_CASE("end of the vocabulary: tokens without bytes are never allowed, strange tokens are refused") {
  const auto vocabulary = std::make_shared<TokenTrie>(std::vector<std::string>{"", "a", "", "aa", "a", ""});
  const auto compiled = TokenGrammar::compile(*parse_gbnf("root ::= \"a\"*"), vocabulary);
  REQUIRE(compiled.ok());
  GrammarMatcher matcher(*compiled);
  CHECK(allowed_tokens(matcher, *vocabulary) == std::vector<std::int32_t>{1, 3, 4});
  for (const std::int32_t token : {0, 2, 5, 6, -1, 1000000}) {
    GrammarMatcher other(*compiled);
    CHECK_FALSE(other.accept(token));
  }
}
