#include "engine/text/jinja/number_text.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "engine/text/jinja/letters.h"

namespace colonnade::engine::jinja {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(letter_at(text, 0).code)) text.remove_prefix(letter_at(text, 0).size);
  while (!text.empty()) {
    const std::size_t last = letter_before(text, text.size());
    if (!is_space(letter_at(text, last).code)) break;
    text = text.substr(0, last);
  }
  return text;
}

/// Decimal digits of any script as ASCII, without '_' between digits; nullopt where '_' stands elsewhere.
std::optional<std::string> plain_digits(std::string_view text) {
  std::string out;
  bool after_digit = false;
  for (std::size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text, at);
    at += letter.size;
    const bool alphanumeric = letter.code < 0x80 && std::isalnum(static_cast<int>(letter.code)) != 0;
    if (letter.code == '_') {
      if (!after_digit || at >= text.size()) return std::nullopt;
      const Letter next = letter_at(text, at);
      if (!(next.code < 0x80 && std::isalnum(static_cast<int>(next.code)) != 0) && decimal_value(next.code) < 0) return std::nullopt;
      after_digit = false;
      continue;
    }
    const int digit = letter.code < 0x80 ? -1 : decimal_value(letter.code);
    if (digit >= 0) out += static_cast<char>('0' + digit);
    else append_utf8(letter.code, out);
    after_digit = alphanumeric || digit >= 0;
  }
  return out;
}

}  // namespace

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view all(buffer, static_cast<std::size_t>(end - buffer));
  std::string out;
  if (all.starts_with('-')) {
    out = "-";
    all.remove_prefix(1);
  }
  const std::size_t e = all.find('e');
  int exponent = std::atoi(std::string(all.substr(e + 1)).c_str());
  std::string digits(1, all[0]);
  if (e > 2) digits += all.substr(2, e - 2);
  const int n_digits = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (n_digits > 1) out += "." + digits.substr(1);
    out += exponent < 0 ? "e-" : "e+";
    exponent = std::abs(exponent);
    if (exponent < 10) out += '0';
    return out + std::to_string(exponent);
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (exponent + 1 >= n_digits) return out + digits + std::string(static_cast<std::size_t>(exponent + 1 - n_digits), '0') + ".0";
  return out + digits.substr(0, static_cast<std::size_t>(exponent + 1)) + "." + digits.substr(static_cast<std::size_t>(exponent + 1));
}

std::string format_float(double value, char type, int precision, bool alternate) {
  if (std::isnan(value)) return type == 'E' || type == 'F' || type == 'G' ? "NAN" : "nan";
  if (std::isinf(value)) {
    const bool upper = type == 'E' || type == 'F' || type == 'G';
    return std::string(value < 0 ? "-" : "") + (upper ? "INF" : "inf");
  }
  const char format[] = {'%', alternate ? '#' : '.', alternate ? '.' : '*', alternate ? '*' : type, alternate ? type : '\0', '\0'};
  const int size = std::snprintf(nullptr, 0, format, precision, value);
  std::string out(static_cast<std::size_t>(size) + 1, '\0');
  std::snprintf(out.data(), out.size(), format, precision, value);
  out.pop_back();
  return out;
}

double round_to(double value, std::int64_t digits) {
  if (!std::isfinite(value) || digits > 323) return value;
  if (digits < -309) return std::copysign(0.0, value);
  if (digits >= 0) return std::strtod(format_float(value, 'f', static_cast<int>(digits)).c_str(), nullptr);
  // Tens, hundreds, …: the halfway cases are exact in a double where 10^n is.
  const double power = std::pow(10.0, static_cast<double>(-digits));
  const double scaled = value / power;
  return std::isfinite(power) ? std::nearbyint(scaled) * power : std::copysign(0.0, value);
}

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  const auto plain = plain_digits(trimmed(text));
  if (!plain) return std::nullopt;
  std::string_view digits = *plain;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  int prefix = 0;
  if (digits.size() > 1 && digits[0] == '0') {
    const char mark = static_cast<char>(digits[1] | 0x20);
    prefix = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
  }
  if (prefix != 0 && (base == 0 || base == prefix)) {
    digits.remove_prefix(2);
    base = prefix;
  } else if (base == 0) {
    // Python refuses "012" here.
    if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != std::string_view::npos) return std::nullopt;
    base = 10;
  }
  if (digits.empty() || digits[0] == '-' || base < 2 || base > 36) return std::nullopt;
  std::int64_t value = 0;
  const std::string signed_digits = (negative ? "-" : "") + std::string(digits);
  const auto [end, error] = std::from_chars(signed_digits.data(), signed_digits.data() + signed_digits.size(), value, base);
  if (error != std::errc() || end != signed_digits.data() + signed_digits.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_float(std::string_view text) {
  const auto plain = plain_digits(trimmed(text));
  if (!plain) return std::nullopt;
  std::string_view digits = *plain;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty() || digits[0] == '-' || digits[0] == '+') return std::nullopt;
  std::string lower;
  for (const char c : digits) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (lower == "inf" || lower == "infinity") return negative ? -HUGE_VAL : HUGE_VAL;
  if (lower == "nan") return std::nan("");
  if (lower.find_first_not_of("0123456789.e+-") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(lower.c_str(), &end);
  if (end != lower.c_str() + lower.size()) return std::nullopt;
  return negative ? -value : value;
}

}  // namespace colonnade::engine::jinja
