#include "engine/text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <string>

#include "engine/base/format_text.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/literal.h"

namespace colonnade::engine::jinja {
namespace {

// Longest first.
constexpr std::array<std::string_view, 26> kOperators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                                         "]", "(", ")", "{", "}", "=", ">", "<", ".", ":", "|", ",", ";"};

/// All line ends become "\n"; one at the very end is dropped.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text_until_tag();
    push(TokenType::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail_here(std::string message) const {
    throw TemplateError{ErrorCode::kInvalidArgument, std::move(message), line_};
  }

  bool is_at(std::size_t position, std::string_view what) const {
    return std::string_view(source_).substr(std::min(position, source_.size())).starts_with(what);
  }
  char char_at(std::size_t position) const { return position < source_.size() ? source_[position] : '\0'; }

  void push(TokenType type, std::string words) { tokens_.push_back({type, std::move(words), line_, 0, 0}); }

  /// Moves on and counts lines.
  void advance_to(std::size_t position) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
    line_starting_ = position > at_ ? source_[position - 1] == '\n' : line_starting_;
    at_ = position;
  }

  std::size_t skip_spaces(std::size_t position) const {
    while (position < source_.size()) {
      const Letter letter = letter_at(source_, position);
      if (!is_space(letter.code)) break;
      position += letter.size;
    }
    return position;
  }

  std::size_t rstrip(std::size_t begin, std::size_t end) const {
    while (end > begin) {
      const std::size_t last = letter_before(source_, end);
      if (last < begin || !is_space(letter_at(source_, last).code)) break;
      end = last;
    }
    return end;
  }

  /// Emits source_[at_, tag) as data, less the white space that the tag's sign or lstrip_blocks takes.
  void data_before(std::size_t tag, char sign, bool is_variable) {
    std::size_t end = tag;
    if (sign == '-') {
      end = rstrip(at_, tag);
    } else if (sign != '+' && !is_variable) {
      const std::size_t newline = std::string_view(source_).substr(at_, tag - at_).rfind('\n');
      if (newline != std::string_view::npos || line_starting_) {
        const std::size_t line_begin = newline == std::string_view::npos ? at_ : at_ + newline + 1;
        if (skip_spaces(line_begin) >= tag) end = line_begin;
      }
    }
    if (end > at_) push(TokenType::kData, source_.substr(at_, end - at_));
    advance_to(tag);
  }

  /// The position after "raw %}" when the block that begins at `position` (after its sign) is one, else 0.
  std::size_t raw_begin(std::size_t position) const {
    position = skip_spaces(position);
    if (!is_at(position, "raw")) return 0;
    position = skip_spaces(position + 3);
    if (is_at(position, "-%}")) return skip_spaces(position + 3);
    return is_at(position, "%}") ? position + 2 : 0;
  }

  void text_until_tag() {
    std::size_t tag = at_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos) {
        push(TokenType::kData, source_.substr(at_));
        return advance_to(source_.size());
      }
      const char kind = char_at(tag + 1);
      if (kind == '%' || kind == '{' || kind == '#') break;
    }
    const char kind = source_[tag + 1];
    const char sign = char_at(tag + 2) == '-' || char_at(tag + 2) == '+' ? source_[tag + 2] : '\0';
    const std::size_t inside = tag + (sign != '\0' ? 3 : 2);
    data_before(tag, sign, kind == '{');
    if (kind == '#') return comment(inside);
    if (const std::size_t body = kind == '%' ? raw_begin(inside) : 0; body != 0) return raw(body);
    push(kind == '%' ? TokenType::kBlockBegin : TokenType::kVariableBegin, "");
    advance_to(inside);
    line_starting_ = false;
    expression(kind == '%');
  }

  /// The end of a block tag or comment at `position`, whose end mark is `mark` ("%}"): where the template goes on, 0 when
  /// there is none.
  std::size_t block_end(std::size_t position, std::string_view mark) const {
    if (char_at(position) == '-' && is_at(position + 1, mark)) return skip_spaces(position + 1 + mark.size());
    if (char_at(position) == '+' && is_at(position + 1, mark)) return position + 1 + mark.size();
    if (!is_at(position, mark)) return 0;
    position += mark.size();
    return char_at(position) == '\n' ? position + 1 : position;
  }

  void comment(std::size_t inside) {
    if (inside == source_.size()) return advance_to(inside);  // as Jinja
    for (std::size_t position = inside; position < source_.size(); ++position) {
      if (const std::size_t end = block_end(position, "#}"); end != 0) return advance_to(end);
    }
    fail_here("missing end of comment tag");
  }

  void raw(std::size_t body) {
    const int line = line_;
    advance_to(body);
    if (at_ == source_.size()) return;  // as Jinja
    for (std::size_t tag = at_; (tag = source_.find("{%", tag)) != std::string::npos; ++tag) {
      const char sign = char_at(tag + 2) == '-' || char_at(tag + 2) == '+' ? source_[tag + 2] : '\0';
      std::size_t position = skip_spaces(tag + (sign != '\0' ? 3 : 2));
      if (!is_at(position, "endraw")) continue;
      position = skip_spaces(position + 6);
      const std::size_t end = block_end(position, "%}");
      if (end == 0) continue;
      data_before(tag, sign, false);
      return advance_to(end);
    }
    line_ = line;
    fail_here("missing end of raw directive");
  }

  /// Tokens up to the end of the tag, which only counts where all brackets are closed.
  void expression(bool is_block) {
    std::string open;  // the closing brackets that are due
    while (at_ < source_.size()) {
      if (open.empty()) {
        const std::size_t end = is_block ? block_end(at_, "%}") : variable_end();
        if (end != 0) {
          push(is_block ? TokenType::kBlockEnd : TokenType::kVariableEnd, "");
          return advance_to(end);
        }
      }
      const std::size_t after_spaces = skip_spaces(at_);
      if (after_spaces > at_) {
        advance_to(after_spaces);
        continue;
      }
      if (!number() && !name() && !quoted()) spelled_operator(open);
    }
  }

  std::size_t variable_end() const {
    if (is_at(at_, "-}}")) return skip_spaces(at_ + 3);
    return is_at(at_, "}}") ? at_ + 2 : 0;
  }

  bool number() {
    const NumberLiteral literal = read_number(source_, at_);
    if (literal.size == 0) return false;
    if (literal.is_float) {
      push(TokenType::kFloat, source_.substr(at_, literal.size));
      tokens_.back().real = literal.real;
    } else {
      if (!literal.fits) fail_here(text("the integer ", source_.substr(at_, literal.size), " does not fit in 64 bits"));
      push(TokenType::kInteger, source_.substr(at_, literal.size));
      tokens_.back().integer = literal.integer;
    }
    advance_to(at_ + literal.size);
    return true;
  }

  bool name() {
    std::size_t end = at_;
    while (end < source_.size() && is_word(letter_at(source_, end).code)) end += letter_at(source_, end).size;
    if (end == at_) return false;
    for (std::size_t i = at_; i < end; i += letter_at(source_, i).size) {
      const char32_t code = letter_at(source_, i).code;
      if (!(i == at_ ? is_identifier_start(code) : is_identifier_part(code))) fail_here("Invalid character in identifier");
    }
    push(TokenType::kName, source_.substr(at_, end - at_));
    advance_to(end);
    return true;
  }

  bool quoted() {
    const char quote = source_[at_];
    if (quote != '\'' && quote != '"') return false;
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail_here(text("unexpected char ", quote, ": the string has no end"));
    const auto words = unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1));
    if (!words.ok()) fail_here(words.error().message);
    push(TokenType::kString, *words);
    advance_to(end + 1);
    return true;
  }

  void spelled_operator(std::string& open) {
    const auto found = std::find_if(kOperators.begin(), kOperators.end(), [&](std::string_view one) { return is_at(at_, one); });
    if (found == kOperators.end()) fail_here(text("unexpected char '", source_.substr(at_, letter_at(source_, at_).size), "'"));
    const char c = (*found)[0];
    if (c == '(') open += ')';
    else if (c == '[') open += ']';
    else if (c == '{') open += '}';
    else if (c == ')' || c == ']' || c == '}') {
      if (open.empty()) fail_here(text("unexpected '", c, "'"));
      if (open.back() != c) fail_here(text("unexpected '", c, "', expected '", open.back(), "'"));
      open.pop_back();
    }
    push(TokenType::kOperator, std::string(*found));
    advance_to(at_ + found->size());
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize_template(std::string_view source) { return Lexer(source).run(); }

std::string describe(const Token& token) {
  switch (token.type) {
    case TokenType::kData: return "template text";
    case TokenType::kVariableBegin: return "'{{'";
    case TokenType::kVariableEnd: return "end of print statement";
    case TokenType::kBlockBegin: return "'{%'";
    case TokenType::kBlockEnd: return "end of statement block";
    case TokenType::kEnd: return "end of template";
    case TokenType::kString: return "string";
    default: return "'" + token.text + "'";
  }
}

}  // namespace colonnade::engine::jinja
