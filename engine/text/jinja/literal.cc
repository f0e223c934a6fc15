#include "engine/text/jinja/literal.h"

#include <cstdlib>

#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/number_text.h"

namespace colonnade::engine::jinja {
namespace {

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

/// Digits of `base` from `position` on with single '_' between them: where they end.
std::size_t digits_end(std::string_view source, std::size_t position, int base, bool may_begin_with_line = false) {
  std::size_t at = position;
  while (at < source.size()) {
    const bool line = source[at] == '_' && (at > position || may_begin_with_line);
    if (line && at + 1 < source.size() && digit_value(source[at + 1]) < base) at += 2;
    else if (digit_value(source[at]) < base) ++at;
    else break;
  }
  return at;
}

std::string without_lines(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != '_') out += c;
  return out;
}

}  // namespace

NumberLiteral read_number(std::string_view source, std::size_t position) {
  NumberLiteral literal;
  const auto at = [&](std::size_t i) { return i < source.size() ? source[i] : '\0'; };
  if (digit_value(at(position)) >= 10) return literal;
  const std::size_t whole = digits_end(source, position, 10);
  std::size_t end = whole;
  if (position == 0 || source[position - 1] != '.') {
    if (at(end) == '.' && digit_value(at(end + 1)) < 10) end = digits_end(source, end + 1, 10);
    if (at(end) == 'e' || at(end) == 'E') {
      const std::size_t digits = end + (at(end + 1) == '+' || at(end + 1) == '-' ? 2 : 1);
      if (digit_value(at(digits)) < 10) end = digits_end(source, digits, 10);
    }
  }
  if (end > whole) {
    literal.is_float = true;
    literal.size = end - position;
    literal.real = std::strtod(without_lines(source.substr(position, literal.size)).c_str(), nullptr);
    return literal;
  }
  int base = 10;
  if (at(position) == '0') {
    const char mark = static_cast<char>(at(position + 1) | 0x20);
    const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    const std::size_t marked_end = marked != 0 ? digits_end(source, position + 2, marked, true) : 0;
    if (marked_end > position + 2) {
      base = marked;
      end = marked_end;
    } else {
      // Zeros only: "012" is the number 0 and then 12.
      end = position + 1;
      while (at(end) == '0' || (at(end) == '_' && at(end + 1) == '0')) ++end;
    }
  }
  literal.size = end - position;
  const auto value = parse_integer(without_lines(source.substr(position, literal.size)), base == 10 ? 10 : 0);
  literal.fits = value.has_value();
  literal.integer = value.value_or(0);
  return literal;
}

Result<std::string> unescape(std::string_view quoted) {
  std::string out;
  char32_t high = 0;  // the first half of a surrogate pair
  const auto put = [&](char32_t code) {
    if (code >= 0xDC00 && code < 0xE000 && high != 0) {
      for (int i = 0; i < 3; ++i) out.pop_back();
      append_utf8(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00), out);
      high = 0;
      return;
    }
    high = code >= 0xD800 && code < 0xDC00 ? code : 0;
    append_utf8(code, out);
  };
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] != '\\' || i + 1 >= quoted.size()) {
      out += quoted[i];
      high = 0;
      continue;
    }
    const char c = quoted[++i];
    const std::size_t n_hex = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (n_hex > 0) {
      char32_t code = 0;
      std::size_t n = 0;
      for (; n < n_hex && i + 1 + n < quoted.size() && digit_value(quoted[i + 1 + n]) < 16; ++n)
        code = code << 4 | static_cast<char32_t>(digit_value(quoted[i + 1 + n]));
      if (n < n_hex || code > 0x10FFFF)
        return Error{ErrorCode::kInvalidArgument, std::string("truncated or illegal \\") + c + " escape in a string"};
      put(code);
      i += n_hex;
      continue;
    }
    if (c >= '0' && c <= '7') {
      char32_t code = 0;
      std::size_t n = 0;
      for (; n < 3 && i + n < quoted.size() && quoted[i + n] >= '0' && quoted[i + n] <= '7'; ++n)
        code = code << 3 | static_cast<char32_t>(quoted[i + n] - '0');
      put(code);
      i += n - 1;
      continue;
    }
    high = 0;
    switch (c) {
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case 'r': out += '\r'; break;
      case 'a': out += '\a'; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'v': out += '\v'; break;
      case '\n': break;
      case '\\':
      case '\'':
      case '"': out += c; break;
      case 'N': return Error{ErrorCode::kInvalidArgument, "\\N escapes in a string are not supported"};
      default:
        // Unknown escapes stay as they are.
        out += '\\';
        out += c;
    }
  }
  return out;
}

}  // namespace colonnade::engine::jinja
