// Patterns of tokenizer files: hand-written scanners against regular expressions, and bounds on what patterns may cost.
#include <catch2/catch.hpp>
#include <random>

#include "engine/text/tokenizer/regex.h"
#include "engine/text/tokenizer/scanner.h"
#include "engine/text/tokenizer/unicode.h"

using colonnade::ErrorCode;
using namespace colonnade::engine;

namespace {

Regex compiled(std::string_view pattern, RegexDialect dialect = RegexDialect::kOniguruma) {
  auto regex = Regex::compile(pattern, dialect);
  if (!regex.ok()) FAIL(regex.error().message);
  return std::move(regex).value();
}

std::vector<std::string> matches(std::string_view pattern, std::string_view text, RegexDialect dialect = RegexDialect::kOniguruma) {
  std::vector<RegexMatch> found;
  compiled(pattern, dialect).find_all(text, found);
  std::vector<std::string> words;
  for (const RegexMatch& match : found) words.emplace_back(text.substr(match.begin, match.end - match.begin));
  return words;
}

/// Words as a scanner gives them; what it does not match is skipped.
std::vector<std::string> scanned(Scanner scanner, std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = scanner(text, at);
    if (end > at) words.emplace_back(text.substr(at, end - at));
    if (end > at) at = end;
    else next_character(text, at);
  }
  return words;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("scanners split as their regular expressions do") {
  // Characters that decide, and all of the basic plane; of it not the two that Unicode 15 has added, which ICU knows and
  // PCRE2 does not.
  const std::vector<char32_t> deciding = {' ', ' ', ' ', '\n', '\r', '\t', 0xA0, 0x3000, 0x85, 0x2028, '\'', '\'', 's', 'S',
                                          0x17F, 't', 'r', 'e', 'l', 'L', 'v', 'M', 'd', 'a', 'B', 'Z', '1', '2', 0x663, 0xBD,
                                          '.', '/', '!', '_', '$', '+', 0x301, 0x93E, 0x4E2D, 0x3042, 0x1C5, 0x2B0, 0x130,
                                          0xE9, 0xC9, 0x1F642, 0x200D, 0x10FF80, 0, 0x180E, 0xAD, 0x2044};
  const auto pattern = GENERATE(kGpt2Pattern, kLlama3Pattern, kQwen2Pattern, kO200kPattern, kTekkenPattern, kDeepseekPattern);
  const Scanner scanner = find_scanner(pattern);
  REQUIRE(scanner != nullptr);
  std::mt19937 generator(5);
  const auto random = [&] { return static_cast<unsigned>(generator()); };
  for (int round = 0; round < 4000; ++round) {
    std::string text;
    for (unsigned n = random() % 24; n > 0; --n) {
      char32_t character = deciding[random() % deciding.size()];
      if (random() % 8 == 0) character = random() % 0xFFFF;
      const bool excluded = (character >= 0xD800 && character < 0xE000) || character == 0xCF3 || character == 0xECE;
      if (!excluded) append_utf8(character, text);
    }
    INFO(pattern);
    CAPTURE(text);
    REQUIRE(scanned(scanner, text) == matches(pattern, text));
  }
}

TEST_CASE("syntax of Oniguruma and of Rust means what it means there") {
  CHECK(matches("\\s", "a\u180e\u00a0\u0085b") == Words{"\u00a0", "\u0085"});
  CHECK(matches("[^\\S\\n]+", "a \n\tb") == Words{" ", "\t"});
  CHECK(matches("[\\p{L}&&[^\\p{Han}]]+", "ab\u4e2dc") == Words{"ab", "c"});
  CHECK(matches("[a[bc]]+", "xabcx") == Words{"abc"});
  CHECK(matches("[^a[^\\w]]+", "xa-y") == Words{"x", "y"});
  CHECK(matches("[]^-]+", "a]^-b") == Words{"]^-"});
  CHECK(matches("\\h+", "xyzAf09 ") == Words{"Af09"});
  CHECK(matches("[[:^alpha:]]+|[[:punct:]]", "a1$b") == Words{"1$"});
  CHECK(matches("\\u00e9|\\x{4e2d}", "\u00e9\u4e2d") == Words{"\u00e9", "\u4e2d"});
  CHECK(matches("(?i:st|K)", "ST sT \u017ft k \u212a") == Words{"ST", "sT", "\u017ft", "k", "\u212a"});
  CHECK(matches("^.", "ab\ncd") == Words{"a", "c"});
  CHECK(matches("^.", "ab\ncd", RegexDialect::kRust) == Words{"a"});
  CHECK(matches("(?m:a.b)", "a\nb") == Words{"a\nb"});
  CHECK(matches("(?m:a.b)", "a\nb", RegexDialect::kRust).empty());
  CHECK(matches("a{1,2}+b", "aaaab") == Words{"aaaab"});  // repeated in Ruby's syntax, possessive elsewhere
  CHECK(matches("a{1,2}+ab", "aab", RegexDialect::kRust).empty());
  CHECK(matches("a{,2}", "aaa") == Words{"aa", "a"});
  CHECK(matches("\\p{Letter}+\\p{^Letter}", "ab1") == Words{"ab1"});
  CHECK(matches("\\p{Script=Greek}+|\\p{Cyrillic}+", "\u03b1\u03b2\u0436") == Words{"\u03b1\u03b2", "\u0436"});
  CHECK(matches("(?<name>a)(?=b)", "abac") == Words{"a"});
  CHECK(matches("(?=(\\d{3})+(?!\\d))", "12345") == Words{""});
}

TEST_CASE("patterns that cannot be used are refused by what is wrong") {
  const auto check = [](const char* pattern, const char* words) {
    const auto regex = Regex::compile(pattern, RegexDialect::kOniguruma);
    REQUIRE(!regex.ok());
    CHECK(regex.error().code == ErrorCode::kUnsupported);
    CHECK_THAT(regex.error().message, Catch::Contains(words));
    CHECK(regex.error().message.find('\n') == std::string::npos);
  };
  check("(a", "missing closing parenthesis");
  check("a)", "unmatched closing parenthesis");
  check("[a", "a class without end");
  check("(?R)", "(?R");
  check("(*LIMIT_MATCH=9)a", "(*");
  check("\\g<1>(a)", "\\g");
  check("a\\K", "\\K");
  check("\\p{Nothing}", "unknown property");
  check("\\", "backslash at the end");
  check("((((((((((a{999}){999}){999}){999}){999}){999}){999}){999}){999}){999})", "too large");
  CHECK(!Regex::compile(std::string(100'000, 'a'), RegexDialect::kOniguruma).ok());
  CHECK(!Regex::compile(std::string(1000, '('), RegexDialect::kOniguruma).ok());
  CHECK(!Regex::compile(std::string(1000, '['), RegexDialect::kOniguruma).ok());
}

TEST_CASE("long matches are found whole, whatever the windows in which they are searched") {
  const std::string letters(300'000, 'a');
  const std::string spaces(100'000, ' ');
  CHECK(matches("\\p{L}+|\\s+(?!\\S)|\\s+", letters + spaces + "b") ==
        Words{letters, spaces.substr(1), " ", "b"});
  CHECK(matches("x", letters + "x" + letters + "x") == Words{"x", "x"});
  CHECK(matches("(?<=a)b", letters + "b") == Words{"b"});
  CHECK(matches("a$", letters) == Words{"a"});
}

TEST_CASE("patterns that explode come to an end") {
  // Each would take longer than the universe has been there, or at least minutes, if its work were not bounded.
  std::vector<RegexMatch> found;
  const std::string as(100'000, 'a');
  compiled("(a+)+$").find_all(as + "b", found);
  compiled("(a|aa)+$").find_all(as + "b", found);
  compiled("(.*)*x").find_all(as, found);
  compiled("a*b").find_all(as, found);
  compiled("\\s+$").find_all(std::string(100'000, ' ') + "x", found);
  CHECK(found.empty());
}
