#include "engine/text/chat_output/python_literal.h"

#include "engine/text/chat_output/json_scanner.h"
#include "engine/text/chat_output/output_sink.h"

namespace colonnade::engine {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool value(std::string& out, int depth = 0) {
    if (depth > kMaxDepth) return false;
    skip_blanks();
    if (at_ == text_.size()) return false;
    const char c = text_[at_];
    if (c == '\'' || c == '"') return string(out);
    if (c == '[') return list(out, ']', depth);
    if (c == '(') return list(out, ')', depth);
    if (c == '{') return dictionary(out, depth);
    return word(out);
  }

  bool arguments(std::string& out) {
    out += '{';
    for (bool first = true; !at_end(); first = false) {
      if (!first && !take(',')) return false;
      if (!first) out += ", ";
      skip_blanks();
      const std::size_t begin = at_;
      while (at_ < text_.size() && text_[at_] != '=' && !is_blank(text_[at_])) ++at_;
      if (at_ == begin) return false;
      out += '"' + json_escaped(text_.substr(begin, at_ - begin)) + "\": ";
      if (!take('=') || !value(out)) return false;
    }
    out += '}';
    return true;
  }

  bool at_end() {
    skip_blanks();
    return at_ == text_.size();
  }

 private:
  static constexpr int kMaxDepth = 64;

  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }
  bool take(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool string(std::string& out) {
    const char quote = text_[at_++];
    out += '"';
    while (at_ < text_.size() && text_[at_] != quote) {
      char c = text_[at_++];
      if (c == '\\' && at_ < text_.size()) {
        c = text_[at_++];
        constexpr std::string_view kAsInJson = "nrtbfu";
        if (kAsInJson.find(c) != std::string_view::npos) {
          out += '\\';
          out += c;
          continue;
        }
      }
      out += json_escaped(std::string_view(&c, 1));
    }
    out += '"';
    return at_++ < text_.size();
  }

  bool list(std::string& out, char close, int depth) {
    ++at_;
    out += '[';
    for (bool first = true; !take(close); first = false) {
      if (!first && !take(',')) return false;
      if (!first && take(close)) break;  // (1,)
      if (!first) out += ", ";
      if (!value(out, depth + 1)) return false;
    }
    out += ']';
    return true;
  }

  bool dictionary(std::string& out, int depth) {
    ++at_;
    out += '{';
    for (bool first = true; !take('}'); first = false) {
      if (!first && !take(',')) return false;
      if (!first) out += ", ";
      skip_blanks();
      if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"') || !string(out)) return false;
      if (!take(':')) return false;
      out += ": ";
      if (!value(out, depth + 1)) return false;
    }
    out += '}';
    return true;
  }

  bool word(std::string& out) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::string_view(",:)]}").find(text_[at_]) == std::string_view::npos && !is_blank(text_[at_])) ++at_;
    const std::string_view found = text_.substr(begin, at_ - begin);
    if (found == "True") out += "true";
    else if (found == "False") out += "false";
    else if (found == "None") out += "null";
    else if (json_value(found)) out += found;
    else return false;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::string> json_of_python(std::string_view literal) {
  Reader reader(literal);
  std::string out;
  if (!reader.value(out) || !reader.at_end() || !json_value(out)) return std::nullopt;
  return out;
}

std::optional<std::string> json_of_python_arguments(std::string_view arguments) {
  Reader reader(arguments);
  std::string out;
  if (!reader.arguments(out) || !json_value(out)) return std::nullopt;
  return out;
}

std::optional<std::string> json_value(std::string_view text) {
  JsonScanner scanner;
  const std::string_view value = trimmed(text);
  std::string out;
  for (std::size_t i = 0; i < value.size(); ++i) {
    append_json_character(out, value[i], scanner.in_string());
    const JsonScanner::Step step = scanner.push(value[i]);
    if (step == JsonScanner::Step::kMore) continue;
    if (step == JsonScanner::Step::kEnd && i + 1 == value.size()) return out;
    return std::nullopt;
  }
  if (scanner.push(' ') == JsonScanner::Step::kEndBefore) return out;  // a number
  return std::nullopt;
}

}  // namespace colonnade::engine
