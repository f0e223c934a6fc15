#include "engine/text/grammar/regex.h"

#include <algorithm>
#include <optional>
#include <string>

#include "engine/base/format_text.h"
#include "engine/text/grammar/code_points.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t kMaxPattern = 4096;
constexpr int kMaxNesting = 100;
constexpr int kMaxRepetitions = 10000;
constexpr int kLongest = 1 << 28;  // lengths beyond count as without end

using Ranges = std::vector<CharRange>;

const Ranges kDigit = {{'0', '9'}};
const Ranges kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const Ranges kSpace = {{'\t', '\r'}, {' ', ' '}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                       {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const Ranges kLineEnds = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

/// Characters that are in none of the ranges; surrogates are nobody's.
Ranges others(Ranges ranges) {
  ranges.push_back({0xD800, 0xDFFF});
  std::sort(ranges.begin(), ranges.end(), [](const CharRange& a, const CharRange& b) { return a.first < b.first; });
  Ranges out;
  char32_t next = 0;
  for (const CharRange& range : ranges) {
    if (range.first > next) out.push_back({next, range.first - 1});
    next = std::max<char32_t>(next, range.last + 1);
  }
  if (next <= 0x10FFFF) out.push_back({next, 0x10FFFF});
  return out;
}

struct Piece {
  GrammarExpr expr;
  int min;  // length in characters
  int max;
};

int add_lengths(int a, int b) { return a == kUnbounded || b == kUnbounded || a + b > kLongest ? kUnbounded : a + b; }
int times(int a, int n) {
  if (a == 0 || n == 0) return 0;
  if (a == kUnbounded || n == kUnbounded || static_cast<std::int64_t>(a) * n > kLongest) return kUnbounded;
  return a * n;
}

class RegexParser {
 public:
  RegexParser(GrammarBuilder& builder, std::string_view pattern, const CharWriter& write, int min_length, int max_length)
      : b_(builder), chars_(code_points(pattern)), write_(write), min_length_(min_length), max_length_(max_length) {}

  Result<RegexGrammar> run() {
    if (chars_.size() > kMaxPattern)
      return Error{ErrorCode::kUnsupported, text("expected at most ", kMaxPattern, " characters, found ", chars_.size())};
    std::vector<Piece> ways;
    for (;;) {
      COLONNADE_ASSIGN(const Piece way, whole_alternative());
      ways.push_back(way);
      if (peek() != '|') break;
      ++at_;
    }
    if (at_ < chars_.size()) return wrong("a \")\" without its \"(\"");
    const Piece all = choice(ways);
    return RegexGrammar{all.expr, all.min, all.max};
  }

 private:
  char32_t peek(std::size_t ahead = 0) const { return at_ + ahead < chars_.size() ? chars_[at_ + ahead] : 0; }
  bool at_end() const { return at_ >= chars_.size(); }

  Error wrong(std::string_view what) const {
    return {ErrorCode::kInvalidArgument, text("character ", at_ + 1, " of the pattern: ", what)};
  }
  Error unsupported(std::string_view what) const {
    return {ErrorCode::kUnsupported, text("character ", at_ + 1, " of the pattern: ", what, " is not supported")};
  }

  Piece choice(const std::vector<Piece>& ways) {
    if (ways.size() == 1) return ways[0];
    std::vector<GrammarExpr> exprs;
    Piece out{-1, kLongest, 0};
    for (const Piece& way : ways) {
      exprs.push_back(way.expr);
      out.min = std::min(out.min, way.min);
      out.max = out.max == kUnbounded || way.max == kUnbounded ? kUnbounded : std::max(out.max, way.max);
    }
    out.expr = b_.choice(exprs);
    return out;
  }

  /// An alternative of the whole pattern, with anything around it where it has no anchor.
  Result<Piece> whole_alternative() {
    const bool begins = peek() == '^';
    if (begins) ++at_;
    const std::size_t first = at_;
    COLONNADE_ASSIGN(Piece piece, sequence(0));
    const bool ends = peek() == '$';
    if (ends) ++at_;
    if (!at_end() && peek() != '|' && peek() != ')') return unsupported("\"$\" before the end");
    if (begins && ends && single_ && single_end_ == at_ - 1 && single_begin_ == first) {
      // One class repeated: lengths can be had exactly.
      const int min = std::max(single_min_, min_length_);
      const int max = single_max_ == kUnbounded ? max_length_ : max_length_ == kUnbounded ? single_max_ : std::min(single_max_, max_length_);
      if (max == kUnbounded || max >= min) return Piece{b_.repeat(single_expr_, min, max), min, max};
      return Piece{b_.never(), min_length_, min_length_};
    }
    const auto anything = [&] { return b_.repeat(write_(others({})), 0, kUnbounded); };
    if (!begins) piece.expr = b_.sequence({anything(), piece.expr});
    if (!ends) piece.expr = b_.sequence({piece.expr, anything()});
    if (!begins || !ends) piece.max = kUnbounded;
    return piece;
  }

  Result<Piece> alternatives(int nesting) {
    std::vector<Piece> ways;
    for (;;) {
      COLONNADE_ASSIGN(const Piece way, sequence(nesting));
      ways.push_back(way);
      if (peek() != '|') break;
      ++at_;
    }
    return choice(ways);
  }

  Result<Piece> sequence(int nesting) {
    std::vector<GrammarExpr> parts;
    Piece out{-1, 0, 0};
    while (!at_end() && peek() != '|' && peek() != ')' && !(nesting == 0 && peek() == '$')) {
      const std::size_t begin = at_;
      single_ = false;
      COLONNADE_ASSIGN(const Piece atom, one(nesting));
      COLONNADE_ASSIGN(const Piece piece, quantified(atom, begin));
      parts.push_back(piece.expr);
      out.min = std::min(add_lengths(out.min, piece.min), kLongest);
      out.max = add_lengths(out.max, piece.max);
    }
    out.expr = parts.size() == 1 ? parts[0] : b_.sequence(parts);
    return out;
  }

  Result<Piece> quantified(const Piece& atom, std::size_t begin) {
    int min = 1, max = 1;
    const char32_t c = peek();
    if (c == '*' || c == '+' || c == '?') {
      ++at_;
      min = c == '+' ? 1 : 0;
      max = c == '?' ? 1 : kUnbounded;
    } else if (c == '{' && peek(1) >= '0' && peek(1) <= '9') {
      ++at_;
      COLONNADE_ASSIGN(min, number());
      max = min;
      if (peek() == ',') {
        ++at_;
        max = kUnbounded;
        if (peek() != '}') {
          COLONNADE_ASSIGN(max, number());
        }
      }
      if (peek() != '}') return wrong("expected \"}\"");
      if (max != kUnbounded && max < min) return wrong("a repetition whose end is before its beginning");
      ++at_;
    }
    if (at_ > begin && (c == '*' || c == '+' || c == '?' || c == '{') && peek() == '?') ++at_;  // lazy: the same texts
    if (is_class_) {
      single_ = true;
      single_expr_ = atom.expr;
      single_min_ = min;
      single_max_ = max;
      single_begin_ = begin;
      single_end_ = at_;
    }
    if (min == 1 && max == 1) return atom;
    return Piece{b_.repeat(atom.expr, min, max), times(atom.min, min) == kUnbounded ? kLongest : times(atom.min, min), times(atom.max, max)};
  }

  Result<int> number() {
    int value = 0;
    const std::size_t begin = at_;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + static_cast<int>(peek() - '0');
      if (value > kMaxRepetitions) return unsupported(text("a repetition beyond ", kMaxRepetitions));
    }
    if (at_ == begin) return wrong("expected a number");
    return value;
  }

  Piece one_of(const Ranges& ranges) {
    is_class_ = true;
    return {write_(ranges), 1, 1};
  }

  Result<Piece> one(int nesting) {
    is_class_ = false;
    const char32_t c = peek();
    switch (c) {
      case '(': {
        if (nesting >= kMaxNesting) return unsupported(text("more than ", kMaxNesting, " groups within each other"));
        ++at_;
        if (peek() == '?') COLONNADE_TRY(group_kind());
        COLONNADE_ASSIGN(const Piece inside, alternatives(nesting + 1));
        if (peek() != ')') return wrong("expected \")\"");
        ++at_;
        is_class_ = false;
        return inside;
      }
      case '[': return char_class();
      case '.': ++at_; return one_of(others(kLineEnds));
      case '\\': {
        ++at_;
        COLONNADE_ASSIGN(const Ranges ranges, escape(false));
        return one_of(ranges);
      }
      case '^':
      case '$': return unsupported("an anchor inside");
      case '*': case '+': case '?': return wrong("a quantifier with nothing before it");
      default: break;
    }
    ++at_;
    return one_of({{c, c}});
  }

  /// After "(?": only groups that mean nothing else are taken.
  Status group_kind() {
    if (peek(1) == ':') {
      at_ += 2;
      return {};
    }
    if (peek(1) == '<' && peek(2) != '=' && peek(2) != '!') {
      while (!at_end() && peek() != '>') ++at_;
      if (at_end()) return wrong("expected \">\" after the name of a group");
      ++at_;
      return {};
    }
    return unsupported("looking ahead or behind");
  }

  Result<char32_t> hex(std::size_t digits) {
    char32_t value = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      const char32_t c = peek();
      if (c >= '0' && c <= '9') value = value * 16 + (c - '0');
      else if ((c | 32) >= 'a' && (c | 32) <= 'f') value = value * 16 + ((c | 32) - 'a' + 10);
      else return wrong(text("expected ", digits, " hexadecimal digits"));
    }
    return value;
  }

  /// After the backslash.
  Result<Ranges> escape(bool in_class) {
    if (at_end()) return wrong("expected something after \"\\\"");
    const char32_t c = peek();
    ++at_;
    const auto single = [](char32_t value) { return Ranges{{value, value}}; };
    switch (c) {
      case 'd': return kDigit;
      case 'D': return others(kDigit);
      case 'w': return kWord;
      case 'W': return others(kWord);
      case 's': return kSpace;
      case 'S': return others(kSpace);
      case 'n': return single('\n');
      case 'r': return single('\r');
      case 't': return single('\t');
      case 'f': return single('\f');
      case 'v': return single('\v');
      case '0': return single(0);
      case 'x': {
        COLONNADE_ASSIGN(const char32_t value, hex(2));
        return single(value);
      }
      case 'u': return unicode_escape();
      default: break;
    }
    if (in_class && c == 'b') return single('\b');
    if ((c >= '1' && c <= '9') || (c | 32) == 'b' || (c | 32) == 'p' || c == 'k' || c == 'c') {
      --at_;
      return unsupported(text("\"\\", static_cast<char>(c), "\""));
    }
    return single(c);
  }

  Result<Ranges> unicode_escape() {
    char32_t value = 0;
    if (peek() == '{') {
      std::size_t end = at_ + 1;
      while (end < chars_.size() && chars_[end] != '}' && end - at_ < 8) ++end;
      const std::size_t digits = end - at_ - 1;
      ++at_;
      COLONNADE_ASSIGN(value, hex(std::max<std::size_t>(digits, 1)));
      if (peek() != '}') return wrong("expected \"}\"");
      ++at_;
    } else {
      COLONNADE_ASSIGN(value, hex(4));
      if (value >= 0xD800 && value < 0xDC00 && peek() == '\\' && peek(1) == 'u') {
        at_ += 2;
        COLONNADE_ASSIGN(const char32_t low, hex(4));
        if (low < 0xDC00 || low > 0xDFFF) return wrong("half of a surrogate pair");
        value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return wrong("no Unicode character");
    return Ranges{{value, value}};
  }

  Result<Piece> char_class() {
    ++at_;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    Ranges ranges;
    while (peek() != ']' || at_end()) {
      if (at_end()) return wrong("expected \"]\"");
      COLONNADE_ASSIGN(const Ranges first, class_member());
      if (peek() != '-' || peek(1) == ']' || at_ + 1 >= chars_.size()) {
        ranges.insert(ranges.end(), first.begin(), first.end());
        continue;
      }
      ++at_;
      COLONNADE_ASSIGN(const Ranges last, class_member());
      const bool singles = first.size() == 1 && last.size() == 1 && first[0].first == first[0].last && last[0].first == last[0].last;
      if (!singles) return unsupported("a range whose end is a class");
      if (last[0].first < first[0].first) return wrong("a range whose end is before its beginning");
      ranges.push_back({first[0].first, last[0].first});
    }
    ++at_;
    return one_of(negated ? others(ranges) : others(others(ranges)));  // twice: sorted, without overlaps
  }

  Result<Ranges> class_member() {
    const char32_t c = peek();
    ++at_;
    if (c == '\\') return escape(true);
    return Ranges{{c, c}};
  }

  GrammarBuilder& b_;
  const std::u32string chars_;
  const CharWriter& write_;
  const int min_length_, max_length_;
  std::size_t at_ = 0;
  bool is_class_ = false;  // the last atom was one character out of a class
  // The last quantified atom, if it was such.
  bool single_ = false;
  GrammarExpr single_expr_ = -1;
  int single_min_ = 0, single_max_ = 0;
  std::size_t single_begin_ = 0, single_end_ = 0;
};

}  // namespace

Result<RegexGrammar> add_regex(GrammarBuilder& builder, std::string_view pattern, const CharWriter& write, int min_length,
                               int max_length) {
  return RegexParser(builder, pattern, write, min_length, max_length).run();
}

}  // namespace colonnade::engine
