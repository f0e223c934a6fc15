// The extent of one JSON value in a stream of characters, and whether it is one.
#pragma once

#include <string>

namespace colonnade::engine {

/// Takes a value as RFC 8259 has it, at most kMaxDepth deep, except that control characters may stand unescaped inside
/// strings: models write them. White space before the value is part of it.
class JsonScanner {
 public:
  static constexpr std::size_t kMaxDepth = 64;

  enum class Step {
    kMore,       // the character belongs to the value
    kEnd,        // it is the last of it
    kEndBefore,  // the value ended before it (a number)
    kBroken,     // no value
  };
  Step push(char c);

  /// Whether the next character is inside of a string.
  bool in_string() const { return state_ == State::kString || state_ == State::kEscape || state_ == State::kHex; }

 private:
  enum class State { kValue, kFirstItem, kFirstKey, kKey, kColon, kNext, kString, kEscape, kHex, kNumber, kLiteral };

  Step begin_value(char c);
  Step end_value();  // of a value whose last character has been taken
  Step close(char c);
  Step push_string(char c);

  State state_ = State::kValue;
  std::string open_;     // the brackets around, outermost first
  bool is_key_ = false;  // the string is one
  int hex_left_ = 0;
  std::string word_;     // the number or literal so far
};

/// One character of a value as it is given on: control characters inside strings are escaped.
void append_json_character(std::string& out, char c, bool in_string);

/// `text` as a JSON string, without the quotes. Cutting a text in two and adding up gives the same.
std::string json_escaped(std::string_view text);

}  // namespace colonnade::engine
