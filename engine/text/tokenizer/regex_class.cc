#include "engine/text/tokenizer/regex_class.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "engine/base/format_text.h"

namespace colonnade::engine {
namespace {

// White_Space. PCRE2's own \s has U+180E, which left that property with Unicode 6.3.
constexpr std::string_view kSpaces = "\\p{Z}\\x{9}-\\x{D}\\x{85}";
// Letters, marks, digits, connectors, the letters in circles and squares that are alphabetic symbols, and what Oniguruma has
// of Latin-1 besides.
constexpr std::string_view kWords =
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}";
constexpr std::string_view kHexDigits = "0-9a-fA-F";

Error unsupported(std::string_view what) {
  return {ErrorCode::kUnsupported, text("in a pattern ", what, " is not supported")};
}

struct Name {
  std::string_view name, value;
};
/// Names of properties without '_', '-', ' ' in lower case. The value is PCRE2's name.
constexpr Name kProperties[] = {
    {"letter", "L"}, {"casedletter", "L&"}, {"uppercaseletter", "Lu"}, {"lowercaseletter", "Ll"}, {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"}, {"otherletter", "Lo"}, {"mark", "M"}, {"combiningmark", "M"}, {"nonspacingmark", "Mn"},
    {"spacingmark", "Mc"}, {"spacingcombiningmark", "Mc"}, {"enclosingmark", "Me"}, {"number", "N"},
    {"decimalnumber", "Nd"}, {"digit", "Nd"}, {"letternumber", "Nl"}, {"othernumber", "No"}, {"punctuation", "P"},
    {"punct", "P"}, {"connectorpunctuation", "Pc"}, {"dashpunctuation", "Pd"}, {"openpunctuation", "Ps"},
    {"closepunctuation", "Pe"}, {"initialpunctuation", "Pi"}, {"finalpunctuation", "Pf"}, {"otherpunctuation", "Po"},
    {"symbol", "S"}, {"mathsymbol", "Sm"}, {"currencysymbol", "Sc"}, {"modifiersymbol", "Sk"}, {"othersymbol", "So"},
    {"separator", "Z"}, {"spaceseparator", "Zs"}, {"lineseparator", "Zl"}, {"paragraphseparator", "Zp"}, {"other", "C"},
    {"control", "Cc"}, {"cntrl", "Cc"}, {"format", "Cf"}, {"privateuse", "Co"}, {"surrogate", "Cs"}, {"unassigned", "Cn"},
    {"any", "Any"}, {"alphabetic", "Alphabetic"}, {"alpha", "Alphabetic"}, {"uppercase", "Uppercase"},
    {"upper", "Uppercase"}, {"lowercase", "Lowercase"}, {"lower", "Lowercase"}, {"whitespace", "White_Space"},
    {"space", "White_Space"}, {"ideographic", "Ideographic"}, {"emoji", "Emoji"},
    {"emojipresentation", "Emoji_Presentation"}, {"extendedpictographic", "Extended_Pictographic"},
    {"emojimodifier", "Emoji_Modifier"}, {"emojicomponent", "Emoji_Component"}, {"idcontinue", "ID_Continue"},
    {"idstart", "ID_Start"}, {"joincontrol", "Join_Control"}, {"dash", "Dash"}, {"hexdigit", "Hex_Digit"}};

/// What stands for [:name:].
constexpr Name kBrackets[] = {{"space", kSpaces}, {"word", kWords}, {"punct", "\\p{P}\\p{S}"}, {"alpha", "\\p{Alphabetic}"},
                              {"digit", "\\p{Nd}"}, {"alnum", "\\p{Alphabetic}\\p{Nd}"}, {"upper", "\\p{Uppercase}"},
                              {"lower", "\\p{Lowercase}"}, {"xdigit", kHexDigits}, {"cntrl", "\\p{Cc}"},
                              {"blank", "\\p{Zs}\\x{9}"}, {"ascii", "\\x{0}-\\x{7F}"}};

/// A name of a general category as it stands: "L", "Lu", …
bool is_category(std::string_view name) {
  constexpr std::string_view kMajor = "LMNPSZC";
  return !name.empty() && name.size() <= 2 && kMajor.find(name[0]) != std::string_view::npos &&
         (name.size() == 1 || std::islower(static_cast<unsigned char>(name[1])));
}

/// \pL, \p{…}, \p{^…}, \P{…}
Result<std::string> read_property(std::string_view pattern, std::size_t& at) {
  bool negated = pattern[at + 1] == 'P';
  std::string_view name;
  if (at + 2 < pattern.size() && pattern[at + 2] == '{') {
    const std::size_t end = pattern.find('}', at);
    if (end == std::string_view::npos) return unsupported("a property without end");
    name = pattern.substr(at + 3, end - at - 3);
    at = end + 1;
  } else {
    name = pattern.substr(std::min(at + 2, pattern.size()), 1);
    at = std::min(at + 3, pattern.size());
  }
  if (name.starts_with('^')) {
    negated = !negated;
    name.remove_prefix(1);
  }
  for (const std::string_view prefix : {"Script=", "sc=", "gc=", "General_Category="}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  std::string_view value = name;
  std::string script;
  if (!is_category(name)) {
    std::string plain;
    for (const char c : name) {
      if (c == '_' || c == '-' || c == ' ') continue;
      if (!std::isalnum(static_cast<unsigned char>(c))) return unsupported(text("the property \"", name, "\""));
      plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    const auto* const found =
        std::find_if(std::begin(kProperties), std::end(kProperties), [&](const Name& one) { return one.name == plain; });
    // PCRE2 would take the script's name alone for the script extensions.
    script = text("sc:", plain);
    value = found != std::end(kProperties) ? found->value : std::string_view(script);
  }
  return text(negated ? "\\P{" : "\\p{", value, "}");
}

/// What stands between two "&&" of a class: characters, and expressions that each match one character.
struct Union {
  std::string characters;
  std::vector<std::string> expressions;

  std::string expression() const {
    if (expressions.empty()) return characters.empty() ? "(?!)" : text("[", characters, "]");
    std::string all = characters.empty() ? "" : text("[", characters, "]");
    for (const std::string& one : expressions) all += (all.empty() ? "" : "|") + one;
    return text("(?:", all, ")");
  }
};

}  // namespace

std::string word_boundary(bool negated) {
  return text("(?:(?<=[", kWords, "])(?", negated ? '=' : '!', "[", kWords, "])|(?<![", kWords, "])(?", negated ? '!' : '=', "[",
              kWords, "]))");
}

Result<ClassItem> read_escape(std::string_view pattern, std::size_t& at) {
  if (at + 1 >= pattern.size()) return unsupported("a backslash at the end");
  const char letter = pattern[at + 1];
  if (letter == 'p' || letter == 'P') {
    COLONNADE_ASSIGN(std::string property, read_property(pattern, at));
    return ClassItem{std::move(property)};
  }
  if (letter == 'u') {
    const std::string_view digits = pattern.substr(at + 2, 4);
    if (digits.size() != 4 || !std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isxdigit(c); })) {
      return unsupported("\\u without four digits");
    }
    at += 6;
    return ClassItem{text("\\x{", digits, "}")};
  }
  if (letter == 'x' && pattern.substr(at).starts_with("\\x{")) {
    const std::size_t end = pattern.find('}', at);
    if (end == std::string_view::npos) return unsupported("\\x{ without end");
    const std::string_view all = pattern.substr(at, end + 1 - at);
    at = end + 1;
    return ClassItem{std::string(all)};
  }
  std::size_t size = 2;
  while (at + size < pattern.size() && (static_cast<unsigned char>(pattern[at + size]) & 0xC0) == 0x80) ++size;
  const std::string_view all = pattern.substr(at, size);
  at += size;
  switch (letter) {
    case 's': case 'S': return ClassItem{std::string(kSpaces), true, letter == 'S'};
    case 'w': case 'W': return ClassItem{std::string(kWords), true, letter == 'W'};
    case 'h': case 'H': return ClassItem{std::string(kHexDigits), true, letter == 'H'};
    case 'd': return ClassItem{"\\p{Nd}"};
    case 'D': return ClassItem{"\\P{Nd}"};
    case 'Q': case 'E': return unsupported(all);
    default: return ClassItem{std::string(all)};
  }
}

Result<std::string> translate_class(std::string_view pattern, std::size_t& at, int depth) {
  if (depth > 16) return unsupported("a class in more than 16 others");
  ++at;
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  std::vector<Union> parts(1);
  for (bool first = true;; first = false) {
    if (at >= pattern.size()) return unsupported("a class without end");
    Union& part = parts.back();
    const char c = pattern[at];
    if (c == ']' && !first) break;
    if (c == '&' && pattern.substr(at, 2) == "&&") {
      parts.emplace_back();
      at += 2;
    } else if (c == '[' && pattern.substr(at, 2) == "[:") {
      const std::size_t end = pattern.find(":]", at);
      if (end == std::string_view::npos) return unsupported("[: without end");
      std::string_view name = pattern.substr(at + 2, end - at - 2);
      const bool without = name.starts_with('^');
      if (without) name.remove_prefix(1);
      const auto* const found =
          std::find_if(std::begin(kBrackets), std::end(kBrackets), [&](const Name& one) { return one.name == name; });
      if (found == std::end(kBrackets)) return unsupported(text("[:", name, ":]"));
      if (without) part.expressions.push_back(text("[^", found->value, "]"));
      else part.characters += found->value;
      at = end + 2;
    } else if (c == '[') {
      COLONNADE_ASSIGN(part.expressions.emplace_back(), translate_class(pattern, at, depth + 1));
    } else if (c == '\\') {
      COLONNADE_ASSIGN(ClassItem item, read_escape(pattern, at));
      if (item.negated) part.expressions.push_back(text("[^", item.content, "]"));
      else part.characters += item.content;
    } else {
      if (c == ']' || c == '^') part.characters += '\\';
      part.characters += c;
      ++at;
    }
  }
  ++at;
  if (parts.size() == 1 && parts[0].expressions.empty()) {
    return text(negated ? "[^" : "[", parts[0].characters, "]");
  }
  std::string all;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) all += text("(?=", parts[i].expression(), ")");
  all += parts.back().expression();
  return negated ? text("(?:(?!", all, ")(?s:.))") : text("(?:", all, ")");
}

}  // namespace colonnade::engine
