#include "engine/text/tokenizer/regex_syntax.h"

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/regex_class.h"

namespace colonnade::engine {
namespace {

class Translator {
 public:
  Translator(std::string_view pattern, RegexDialect dialect) : in_(pattern), dialect_(dialect) {}

  Result<std::string> run() {
    while (at_ < in_.size()) COLONNADE_TRY(step());
    return std::move(out_);
  }

 private:
  Error unsupported(std::string_view what) const {
    return {ErrorCode::kUnsupported, text("in a pattern ", what, " is not supported")};
  }

  Status step() {
    switch (in_[at_]) {
      case '\\': return escape();
      case '[': {
        begin_atom();
        COLONNADE_ASSIGN(const std::string found, translate_class(in_, at_));
        out_ += found;
        return {};
      }
      case '(': return group();
      case ')':
        atom_ = open_.empty() ? out_.size() : open_.back();
        if (!open_.empty()) open_.pop_back();
        out_ += in_[at_++];
        return {};
      case '{': return repetition();
      case '*': case '+': case '?': case '|':
        out_ += in_[at_++];
        return {};
      default:
        begin_atom();
        do out_ += in_[at_++];
        while (at_ < in_.size() && (static_cast<unsigned char>(in_[at_]) & 0xC0) == 0x80);
        return {};
    }
  }

  Status escape() {
    begin_atom();
    const char next = at_ + 1 < in_.size() ? in_[at_ + 1] : '\0';
    if (next == 'K') return unsupported("\\K");
    if (next == 'g' || next == 'k') return unsupported(text("\\", next));
    if (next == 'C') return unsupported("\\C");
    if (next == 'b' || next == 'B') {
      out_ += word_boundary(next == 'B');
      at_ += 2;
      return {};
    }
    COLONNADE_ASSIGN(const ClassItem item, read_escape(in_, at_));
    if (item.negated) {
      out_ += text("[^", item.content, "]");
    } else if (item.is_set) {
      out_ += text("[", item.content, "]");
    } else {
      out_ += item.content;
    }
    return {};
  }

  Status group() {
    begin_atom();
    open_.push_back(out_.size());
    const std::string_view rest = in_.substr(at_);
    if (rest.starts_with("(*")) return unsupported("(*…)");
    if (rest.starts_with("(?#")) {
      const std::size_t end = rest.find(')');
      if (end == std::string_view::npos) return unsupported("a comment without end");
      open_.pop_back();
      at_ += end + 1;
      return {};
    }
    for (const std::string_view start : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (rest.starts_with(start)) return copy(start.size());
    }
    if (!rest.starts_with("(?")) return copy(1);
    const std::size_t name = rest.starts_with("(?<") ? 3 : rest.starts_with("(?P<") ? 4 : 0;
    if (name != 0) {
      // No back reference can use the name, so it need not be kept.
      const std::size_t end = rest.find('>');
      if (end == std::string_view::npos) return unsupported("a name without end");
      out_ += '(';
      at_ += end + 1;
      return {};
    }
    return options(rest);
  }

  /// (?i:…), (?i), (?m-x:…)
  Status options(std::string_view rest) {
    std::size_t end = 2;
    std::string letters;
    for (; end < rest.size() && rest[end] != ')' && rest[end] != ':'; ++end) {
      const char letter = rest[end];
      if (letter == 'm' && dialect_ == RegexDialect::kOniguruma) letters += 's';  // the dot matches a line end, too
      else if (letter == '-' || letter == 'i' || letter == 'm' || letter == 's' || letter == 'x') letters += letter;
      else return unsupported(text("the group ", rest.substr(0, end + 1), "…"));
    }
    if (end == rest.size()) return unsupported("a group without end");
    if (letters.find('x') != std::string::npos) return unsupported("the option x");
    out_ += text("(?", letters, rest[end]);
    if (rest[end] == ')') open_.pop_back();
    at_ += end + 1;
    return {};
  }

  /// {n}, {n,}, {,m}, {n,m} after an atom; any other brace is a character.
  Status repetition() {
    std::size_t end = at_ + 1;
    bool digits = false;
    int commas = 0;
    for (; end < in_.size() && (in_[end] == ',' || (in_[end] >= '0' && in_[end] <= '9')); ++end) {
      if (in_[end] == ',') ++commas;
      else digits = true;
    }
    if (end == in_.size() || in_[end] != '}' || !digits || commas > 1) {
      begin_atom();
      out_ += "\\{";
      ++at_;
      return {};
    }
    std::string range(in_.substr(at_, end + 1 - at_));
    if (range[1] == ',') range.insert(1, "0");
    out_ += range;
    at_ = end + 1;
    // In Ruby's syntax the plus repeats what the braces repeat; elsewhere it makes them possessive.
    if (dialect_ == RegexDialect::kOniguruma && at_ < in_.size() && in_[at_] == '+') {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
    return {};
  }

  Status copy(std::size_t size) {
    out_ += in_.substr(at_, size);
    at_ += size;
    return {};
  }
  void begin_atom() { atom_ = out_.size(); }

  std::string_view in_;
  RegexDialect dialect_;
  std::size_t at_ = 0;
  std::string out_;
  std::size_t atom_ = 0;           // where in `out_` what a repetition would repeat begins
  std::vector<std::size_t> open_;  // where in `out_` the groups begin that are not closed yet
};

}  // namespace

Result<std::string> to_pcre_syntax(std::string_view pattern, RegexDialect dialect) {
  return Translator(pattern, dialect).run();
}

}  // namespace colonnade::engine
