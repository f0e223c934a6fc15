#include "engine/text/chat_output/json_scanner.h"

#include <array>

#include "engine/text/chat_output/output_sink.h"

namespace colonnade::engine {
namespace {

using Step = JsonScanner::Step;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// -?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?
bool is_number(std::string_view word) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t begin = at;
    while (at < word.size() && is_digit(word[at])) ++at;
    return at > begin;
  };
  if (at < word.size() && word[at] == '-') ++at;
  const std::size_t first = at;
  if (!digits() || (word[first] == '0' && at > first + 1)) return false;
  if (at < word.size() && word[at] == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
    ++at;
    if (at < word.size() && (word[at] == '+' || word[at] == '-')) ++at;
    if (!digits()) return false;
  }
  return at == word.size();
}

constexpr std::array<std::string_view, 3> kLiterals = {"true", "false", "null"};

}  // namespace

Step JsonScanner::begin_value(char c) {
  if (is_blank(c)) return Step::kMore;
  if (c == '{' || c == '[') {
    if (open_.size() == kMaxDepth) return Step::kBroken;
    open_ += c;
    state_ = c == '{' ? State::kFirstKey : State::kFirstItem;
  } else if (c == '"') {
    is_key_ = false;
    state_ = State::kString;
  } else if (c == '-' || is_digit(c)) {
    word_ = c;
    state_ = State::kNumber;
  } else if (c == 't' || c == 'f' || c == 'n') {
    word_ = c;
    state_ = State::kLiteral;
  } else {
    return Step::kBroken;
  }
  return Step::kMore;
}

Step JsonScanner::end_value() {
  state_ = State::kNext;
  return open_.empty() ? Step::kEnd : Step::kMore;
}

Step JsonScanner::close(char c) {
  if (open_.empty() || open_.back() != (c == '}' ? '{' : '[')) return Step::kBroken;
  open_.pop_back();
  return end_value();
}

Step JsonScanner::push_string(char c) {
  if (c == '\\') {
    state_ = State::kEscape;
  } else if (c == '"') {
    if (!is_key_) return end_value();
    state_ = State::kColon;
  }
  return Step::kMore;
}

Step JsonScanner::push(char c) {
  switch (state_) {
    case State::kValue:
      return begin_value(c);
    case State::kFirstItem:
      return c == ']' ? close(c) : begin_value(c);
    case State::kFirstKey:
    case State::kKey:
      if (is_blank(c)) return Step::kMore;
      if (c == '}' && state_ == State::kFirstKey) return close(c);
      if (c != '"') return Step::kBroken;
      is_key_ = true;
      state_ = State::kString;
      return Step::kMore;
    case State::kColon:
      if (c == ':') state_ = State::kValue;
      return c == ':' || is_blank(c) ? Step::kMore : Step::kBroken;
    case State::kNext:
      if (is_blank(c)) return Step::kMore;
      if (c == '}' || c == ']') return close(c);
      if (c != ',' || open_.empty()) return Step::kBroken;
      state_ = open_.back() == '{' ? State::kKey : State::kValue;
      return Step::kMore;
    case State::kString:
      return push_string(c);
    case State::kEscape:
      hex_left_ = 4;
      state_ = c == 'u' ? State::kHex : State::kString;
      return std::string_view("\"\\/bfnrtu").find(c) != std::string_view::npos ? Step::kMore : Step::kBroken;
    case State::kHex:
      if (--hex_left_ == 0) state_ = State::kString;
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ? Step::kMore : Step::kBroken;
    case State::kNumber:
      if (is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-') {
        word_ += c;
        return Step::kMore;
      }
      if (!is_number(word_)) return Step::kBroken;
      if (end_value() == Step::kEnd) return Step::kEndBefore;
      return push(c);  // in state kNext: no deeper
    case State::kLiteral:
      word_ += c;
      for (const std::string_view literal : kLiterals) {
        if (word_ == literal) return end_value();
        if (literal.starts_with(word_)) return Step::kMore;
      }
      return Step::kBroken;
  }
  return Step::kBroken;
}

void append_json_character(std::string& out, char c, bool in_string) {
  if (!in_string || static_cast<unsigned char>(c) >= 0x20) {
    out += c;
  } else if (c == '\n') {
    out += "\\n";
  } else if (c == '\t') {
    out += "\\t";
  } else if (c == '\r') {
    out += "\\r";
  } else {
    constexpr std::string_view kHexDigits = "0123456789abcdef";
    out += "\\u00";
    out += kHexDigits[static_cast<unsigned char>(c) / 16];
    out += kHexDigits[static_cast<unsigned char>(c) % 16];
  }
}

std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    append_json_character(out, c, true);
  }
  return out;
}

}  // namespace colonnade::engine
