#include "engine/text/grammar/gbnf.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/text/grammar/code_points.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr int kMaxNesting = 200;         // of groups: the parser is recursive
constexpr int kMaxRepetitions = 100000;

bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  explicit Parser(std::string_view input) : input_(input) {}

  Result<Grammar> parse() {
    if (input_.size() > kMaxBytes)
      return Error{ErrorCode::kInvalidArgument, text("grammar: expected at most ", kMaxBytes, " bytes, found ", input_.size())};
    skip_space(true);
    while (!at_end()) COLONNADE_TRY(rule());
    for (const auto& [name, known] : rules_)
      if (!known.defined) return Error{ErrorCode::kInvalidArgument, text("grammar: rule \"", name, "\" is used in line ", known.line, " but not defined")};
    const auto root = rules_.find("root");
    if (root == rules_.end()) return Error{ErrorCode::kInvalidArgument, "grammar: expected a rule named \"root\", found none"};
    return builder_.finish(builder_.use(root->second.rule));
  }

 private:
  struct Known {
    GrammarRule rule;
    bool defined = false;
    std::size_t line = 0;
  };

  bool at_end() const { return at_ >= input_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < input_.size() ? input_[at_ + ahead] : '\0'; }

  std::size_t line() const { return 1 + static_cast<std::size_t>(std::count(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, input_.size())), '\n')); }

  Error expected(std::string_view what) const {
    const std::size_t at = std::min(at_, input_.size());
    const std::size_t line_start = input_.substr(0, at).rfind('\n');
    const std::size_t column = at - (line_start == std::string_view::npos ? 0 : line_start + 1) + 1;
    std::string found = "the end";
    if (at < input_.size()) found = input_[at] == '\n' ? "the end of the line" : text("\"", input_.substr(at, std::min(input_.find('\n', at) - at, std::size_t{20})), "\"");
    return {ErrorCode::kInvalidArgument, text("grammar, line ", line(), ", column ", column, ": expected ", what, ", found ", found)};
  }

  /// White space and comments; line ends only where they mean nothing.
  void skip_space(bool lines) {
    for (; !at_end(); ++at_) {
      const char c = peek();
      if (c == '#') {
        while (!at_end() && peek() != '\n') ++at_;
        if (at_end() || !lines) return;
      } else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) {
        return;
      }
    }
  }

  Result<std::string> name() {
    const std::size_t begin = at_;
    while (is_name(peek())) ++at_;
    if (at_ == begin) return expected("the name of a rule");
    return std::string(input_.substr(begin, at_ - begin));
  }

  Known& known(const std::string& rule_name) {
    const auto found = rules_.find(rule_name);
    if (found != rules_.end()) return found->second;
    return rules_.emplace(rule_name, Known{builder_.declare(rule_name), false, line()}).first->second;
  }

  Status rule() {
    const std::size_t begin = at_;
    COLONNADE_ASSIGN(const std::string rule_name, name());
    skip_space(false);
    if (input_.substr(at_, 3) != "::=") return expected("\"::=\"");
    Known& entry = known(rule_name);
    if (entry.defined) {
      at_ = begin;
      return expected("a rule that is not defined yet");
    }
    entry.defined = true;
    const GrammarRule rule = entry.rule;
    at_ += 3;
    skip_space(true);
    COLONNADE_ASSIGN(const GrammarExpr body, alternatives(0));
    builder_.define(rule, body);
    if (!at_end() && peek() != '\n' && peek() != '\r') return expected("the end of the line");
    skip_space(true);
    return {};
  }

  Result<GrammarExpr> alternatives(int nesting) {
    if (nesting > kMaxNesting) return expected(text("at most ", kMaxNesting, " groups within each other"));
    std::vector<GrammarExpr> ways;
    for (;;) {
      COLONNADE_ASSIGN(const GrammarExpr way, sequence(nesting));
      ways.push_back(way);
      if (peek() != '|') break;
      ++at_;
      skip_space(true);
    }
    return ways.size() == 1 ? ways[0] : builder_.choice(ways);
  }

  Result<GrammarExpr> sequence(int nesting) {
    std::vector<GrammarExpr> parts;
    for (;;) {
      COLONNADE_ASSIGN(const std::optional<GrammarExpr> part, item(nesting));
      if (!part) break;
      skip_space(nesting > 0);
      COLONNADE_ASSIGN(const GrammarExpr repeated, repetitions(*part, nesting));
      parts.push_back(repeated);
    }
    return parts.size() == 1 ? parts[0] : builder_.sequence(parts);
  }

  /// Nothing where a sequence ends.
  Result<std::optional<GrammarExpr>> item(int nesting) {
    const char c = peek();
    if (c == '"') {
      COLONNADE_ASSIGN(const GrammarExpr expr, literal());
      return std::optional(expr);
    }
    if (c == '[') {
      COLONNADE_ASSIGN(const GrammarExpr expr, char_class());
      return std::optional(expr);
    }
    if (c == '.') {
      ++at_;
      return std::optional(builder_.chars_except({}));
    }
    if (c == '(') {
      ++at_;
      skip_space(true);
      COLONNADE_ASSIGN(const GrammarExpr expr, alternatives(nesting + 1));
      if (peek() != ')') return expected("\")\"");
      ++at_;
      return std::optional(expr);
    }
    if (is_name(c)) {
      COLONNADE_ASSIGN(const std::string rule_name, name());
      return std::optional(builder_.use(known(rule_name).rule));
    }
    if (c == '<' || c == '!') return expected("a literal, a class, a group or a rule (references to tokens are not supported)");
    const bool ends = at_end() || c == '|' || c == '\n' || c == '\r' || (c == ')' && nesting > 0);
    if (!ends) return expected("a literal, a class, a group or a rule");
    return std::optional<GrammarExpr>();
  }

  Result<GrammarExpr> repetitions(GrammarExpr part, int nesting) {
    for (;;) {
      const char c = peek();
      int min = 0, max = kUnbounded;
      if (c == '*' || c == '+' || c == '?') {
        ++at_;
        min = c == '+' ? 1 : 0;
        if (c == '?') max = 1;
      } else if (c == '{') {
        ++at_;
        COLONNADE_TRY(range(min, max));
      } else {
        return part;
      }
      part = builder_.repeat(part, min, max);
      skip_space(nesting > 0);
    }
  }

  Result<int> number() {
    const std::size_t begin = at_;
    int value = 0;
    for (; is_digit(peek()); ++at_) {
      value = value * 10 + (peek() - '0');
      if (value > kMaxRepetitions) return expected(text("a number of at most ", kMaxRepetitions));
    }
    if (at_ == begin) return expected("a number");
    return value;
  }

  /// "3}", "3,}", ",5}" or "3,5}".
  Status range(int& min, int& max) {
    skip_space(false);
    if (peek() != ',') {
      COLONNADE_ASSIGN(min, number());
      max = min;
      skip_space(false);
    }
    if (peek() == ',') {
      ++at_;
      skip_space(false);
      max = kUnbounded;
      if (peek() != '}') {
        COLONNADE_ASSIGN(max, number());
        if (max < min) return expected(text("at least ", min, " as the largest number of repetitions"));
        skip_space(false);
      }
    }
    if (peek() != '}') return expected("\"}\"");
    ++at_;
    return {};
  }

  Result<GrammarExpr> literal() {
    ++at_;
    std::string bytes;
    while (peek() != '"') {
      COLONNADE_ASSIGN(const char32_t c, character("\"\\\"\" at the end of the literal"));
      append_utf8(c, bytes);
    }
    ++at_;
    return builder_.literal(bytes);
  }

  Result<GrammarExpr> char_class() {
    ++at_;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    std::vector<CharRange> ranges;
    while (peek() != ']') {
      COLONNADE_ASSIGN(const char32_t first, character("\"]\" at the end of the class"));
      char32_t last = first;
      if (peek() == '-' && peek(1) != ']') {
        ++at_;
        COLONNADE_ASSIGN(last, character("\"]\" at the end of the class"));
        if (last < first) return expected("a range whose end is not before its beginning");
      }
      ranges.push_back({first, last});
    }
    ++at_;
    return negated ? builder_.chars_except(std::move(ranges)) : builder_.chars(std::move(ranges));
  }

  Result<char32_t> hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      if (is_digit(c)) value = value * 16 + static_cast<char32_t>(c - '0');
      else if (c >= 'a' && c <= 'f') value = value * 16 + static_cast<char32_t>(c - 'a' + 10);
      else if (c >= 'A' && c <= 'F') value = value * 16 + static_cast<char32_t>(c - 'A' + 10);
      else return expected(text(digits, " hexadecimal digits"));
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return expected("a Unicode character");
    return value;
  }

  /// One character of a literal or class, escaped or not.
  Result<char32_t> character(std::string_view end) {
    if (at_end() || peek() == '\n') return expected(end);
    if (peek() != '\\') return utf8();
    const char c = peek(1);
    at_ += 2;
    switch (c) {
      case 'n': return U'\n';
      case 'r': return U'\r';
      case 't': return U'\t';
      case 'x': return hex(2);
      case 'u': return hex(4);
      case 'U': return hex(8);
      case '"': case '\\': case '[': case ']': case '-': case '^': return static_cast<char32_t>(c);
      default: break;
    }
    at_ -= 2;
    return expected(R"(an escape out of \n \r \t \\ \" \[ \] \- \^ \xFF \uFFFF \UFFFFFFFF)");
  }

  Result<char32_t> utf8() {
    const std::optional<CodePoint> c = first_code_point(input_.substr(at_));
    if (!c) return expected("UTF-8");
    at_ += c->size;
    return c->value;
  }

  std::string_view input_;
  std::size_t at_ = 0;
  GrammarBuilder builder_;
  std::map<std::string, Known> rules_;
};

}  // namespace

Result<Grammar> parse_gbnf(std::string_view input) { return Parser(input).parse(); }

}  // namespace colonnade::engine
