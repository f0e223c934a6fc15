#include "engine/text/grammar/json_text.h"

#include <algorithm>

#include "engine/text/grammar/code_points.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

// Bounds on white space and digits, within which nothing that anyone writes is missing.
constexpr int kMaxIndent = 32;
constexpr int kMaxTabs = 8;
constexpr int kMaxDigits = 16;
constexpr int kMaxIntegerDigits = 18;  // fits 64 bits
constexpr int kMaxNameChars = 256;

const std::vector<CharRange> kHex = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
/// What cannot stand in a string as it is.
const std::vector<CharRange> kEscaped = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};

}  // namespace

template <typename Make>
GrammarExpr JsonText::once(std::optional<GrammarRule>& rule, const char* name, Make make) {
  if (!rule) {
    rule = builder_.declare(name);  // first, because it may contain itself
    builder_.define(*rule, make());
  }
  return builder_.use(*rule);
}

GrammarExpr JsonText::space() {
  return once(space_, "white space", [&] {
    const GrammarExpr blank = builder_.literal(" ");
    const GrammarExpr indent = builder_.choice({builder_.repeat(blank, 0, kMaxIndent), builder_.repeat(builder_.literal("\t"), 1, kMaxTabs)});
    return builder_.optional(builder_.choice({blank, builder_.sequence({builder_.literal("\n"), indent})}));
  });
}

GrammarExpr JsonText::comma() { return builder_.sequence({builder_.literal(","), space()}); }

GrammarExpr JsonText::colon() { return builder_.sequence({builder_.literal(":"), builder_.optional(builder_.literal(" "))}); }

GrammarExpr JsonText::string_char() {
  GrammarBuilder& b = builder_;
  const GrammarExpr hex = b.chars(kHex);
  // Halves of surrogate pairs only as pairs: alone they are no character.
  const GrammarExpr below = b.sequence({b.chars({{'0', '9'}, {'a', 'c'}, {'A', 'C'}, {'e', 'f'}, {'E', 'F'}}), b.repeat(hex, 3, 3)});
  const GrammarExpr d = b.chars({{'d', 'd'}, {'D', 'D'}});
  const GrammarExpr rest_of_d = b.sequence({d, b.chars({{'0', '7'}}), hex, hex});
  const GrammarExpr pair = b.sequence({d, b.chars({{'8', '9'}, {'a', 'b'}, {'A', 'B'}}), hex, hex, b.literal("\\u"), d,
                                       b.chars({{'c', 'f'}, {'C', 'F'}}), hex, hex});
  const GrammarExpr simple = b.chars({{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}});
  const GrammarExpr unicode = b.sequence({b.literal("u"), b.choice({below, rest_of_d, pair})});
  return b.choice({b.chars_except(kEscaped), b.sequence({b.literal("\\"), b.choice({simple, unicode})})});
}

GrammarExpr JsonText::string_char(const std::vector<CharRange>& ranges) {
  std::vector<CharRange> plain;
  std::vector<GrammarExpr> ways;
  const auto add_escape = [&](char32_t c) {
    static constexpr std::string_view kLetters = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (std::size_t i = 0; i < kLetters.size(); i += 2)
      if (static_cast<char32_t>(kLetters[i]) == c) return ways.push_back(builder_.literal(std::string(1, '\\') + kLetters[i + 1]));
    constexpr const char* kDigits = "0123456789abcdef";
    ways.push_back(builder_.literal(std::string("\\u00") + kDigits[c >> 4] + kDigits[c & 15]));
  };
  for (const CharRange& range : ranges) {
    char32_t next = range.first;
    for (const CharRange& escaped : kEscaped) {
      const char32_t first = std::max(next, escaped.first), last = std::min(range.last, escaped.last);
      if (first > last) continue;
      if (next < first) plain.push_back({next, first - 1});
      for (char32_t c = first; c <= last; ++c) add_escape(c);
      next = last + 1;
    }
    if (next <= range.last) plain.push_back({next, range.last});
  }
  if (!plain.empty()) ways.push_back(builder_.chars(std::move(plain)));
  return ways.size() == 1 ? ways[0] : builder_.choice(ways);
}

GrammarExpr JsonText::quoted(GrammarExpr content) {
  return builder_.sequence({builder_.literal("\""), content, builder_.literal("\"")});
}

GrammarExpr JsonText::string() {
  return once(string_, "string", [&] { return quoted(builder_.repeat(string_char(), 0, kUnbounded)); });
}

/// Content of strings that go on after the first `depth` characters, which all names share, but are none of the names.
GrammarExpr JsonText::except(const std::vector<std::u32string>& names, std::size_t at, int depth) {
  std::vector<CharRange> known = kEscaped;
  std::vector<GrammarExpr> ways;
  bool is_name = false;
  for (std::size_t i = 0; i < names.size();) {
    if (names[i].size() == at) {
      is_name = true;
      ++i;
      continue;
    }
    const char32_t c = names[i][at];
    std::vector<std::u32string> same;
    for (; i < names.size() && names[i].size() > at && names[i][at] == c; ++i) same.push_back(names[i]);
    known.push_back({c, c});
    std::string spelled;
    append_utf8(c, spelled);
    // Beyond kMaxNameChars what is left out is more than what is forbidden; no name is let through.
    if (depth < kMaxNameChars) ways.push_back(builder_.sequence({builder_.literal(spelled), except(same, at + 1, depth + 1)}));
  }
  const GrammarExpr any = builder_.chars_except(kEscaped);
  ways.push_back(builder_.sequence({builder_.chars_except(known), builder_.repeat(any, 0, kUnbounded)}));
  if (!is_name) ways.push_back(builder_.empty());
  return builder_.choice(ways);
}

GrammarExpr JsonText::string_except(const std::vector<std::string>& names) {
  std::vector<std::u32string> sorted;
  for (const std::string& name : names) sorted.push_back(code_points(name));
  std::sort(sorted.begin(), sorted.end());
  // A name with characters that must be escaped cannot be written without: nothing to forbid.
  std::erase_if(sorted, [](const std::u32string& name) {
    return std::any_of(name.begin(), name.end(), [](char32_t c) { return c < 0x20 || c == '"' || c == '\\'; });
  });
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return quoted(except(sorted, 0, 0));
}

GrammarExpr JsonText::digits(int min, int max) { return builder_.repeat(builder_.chars({{'0', '9'}}), min, max); }

GrammarExpr JsonText::number() {
  return once(number_, "number", [&] {
    GrammarBuilder& b = builder_;
    const GrammarExpr whole = b.choice({b.literal("0"), b.sequence({b.chars({{'1', '9'}}), digits(0, kMaxDigits - 1)})});
    const GrammarExpr fraction = b.sequence({b.literal("."), digits(1, kMaxDigits)});
    // At most 289: with 16 digits before the point still a double.
    const GrammarExpr power = b.choice({digits(1, 2), b.sequence({b.literal("1"), digits(2, 2)}),
                                        b.sequence({b.literal("2"), b.chars({{'0', '8'}}), digits(1, 1)})});
    const GrammarExpr exponent = b.sequence({b.chars({{'e', 'e'}, {'E', 'E'}}), b.optional(b.chars({{'+', '+'}, {'-', '-'}})), power});
    return b.sequence({b.optional(b.literal("-")), whole, b.optional(fraction), b.optional(exponent)});
  });
}

GrammarExpr JsonText::integer() {
  return once(integer_, "integer", [&] {
    const GrammarExpr positive = builder_.sequence({builder_.chars({{'1', '9'}}), digits(0, kMaxIntegerDigits - 1)});
    return builder_.choice({builder_.literal("0"), builder_.sequence({builder_.optional(builder_.literal("-")), positive})});
  });
}

GrammarExpr JsonText::object() {
  return once(object_, "object", [&] {
    const GrammarExpr member = builder_.use(builder_.add_rule("member", builder_.sequence({string(), colon(), value()})));
    const GrammarExpr members = builder_.sequence({member, builder_.repeat(builder_.sequence({comma(), member}), 0, kUnbounded), space()});
    return builder_.sequence({builder_.literal("{"), space(), builder_.optional(members), builder_.literal("}")});
  });
}

GrammarExpr JsonText::array() {
  return once(array_, "array", [&] {
    const GrammarExpr items = builder_.sequence({value(), builder_.repeat(builder_.sequence({comma(), value()}), 0, kUnbounded), space()});
    return builder_.sequence({builder_.literal("["), space(), builder_.optional(items), builder_.literal("]")});
  });
}

GrammarExpr JsonText::value() {
  return once(value_, "value", [&] {
    return builder_.choice({object(), array(), string(), number(), builder_.literal("true"), builder_.literal("false"), builder_.literal("null")});
  });
}

GrammarExpr JsonText::constant(const OrderedJson& value) {
  return builder_.literal(value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
}

}  // namespace colonnade::engine
