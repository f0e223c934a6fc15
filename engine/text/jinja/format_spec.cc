#include <algorithm>
#include <cmath>

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/format.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/number_text.h"
#include "engine/text/jinja/print.h"

namespace colonnade::engine::jinja {
namespace {

bool is_align(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

std::int64_t read_width(std::string_view spec, std::size_t& at) {
  std::int64_t width = 0;
  for (; at < spec.size() && spec[at] >= '0' && spec[at] <= '9'; ++at) {
    width = width * 10 + (spec[at] - '0');
    if (width > 1'000'000'000) fail("a width or precision in a format is too large", ErrorCode::kExhausted);
  }
  return width;
}

/// "1234567" → "1,234,567"; every `group` digits of the whole part.
std::string grouped(const std::string& digits, char separator, std::size_t group) {
  const std::size_t whole = std::min(digits.find_first_of(".e"), digits.size());
  std::string out;
  for (std::size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % group == 0) out += separator;
    out += digits[i];
  }
  return out + digits.substr(whole);
}

std::string in_base(std::uint64_t value, unsigned base, bool upper) {
  std::string out;
  do {
    const unsigned digit = static_cast<unsigned>(value % base);
    out += static_cast<char>(digit < 10 ? '0' + digit : (upper ? 'A' : 'a') + digit - 10);
    value /= base;
  } while (value > 0);
  return {out.rbegin(), out.rend()};
}

void append_integer(TextBuilder& out, const Value& value, FormatSpec spec) {
  const std::int64_t number = value.as_integer();
  const std::uint64_t magnitude = number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
  if (spec.precision >= 0) fail("Precision not allowed in integer format specifier");
  std::string digits;
  std::string_view prefix;
  switch (spec.type) {
    case 'b': digits = in_base(magnitude, 2, false); prefix = "0b"; break;
    case 'o': digits = in_base(magnitude, 8, false); prefix = "0o"; break;
    case 'x': digits = in_base(magnitude, 16, false); prefix = "0x"; break;
    case 'X': digits = in_base(magnitude, 16, true); prefix = "0X"; break;
    case 'c':
      if (number < 0 || number > 0x10FFFF) fail("%c arg not in range(0x110000)");
      append_utf8(static_cast<char32_t>(number), digits);
      return append_number(out, digits, false, "", spec);
    default: digits = std::to_string(magnitude);
  }
  if (spec.grouping != 0) digits = grouped(digits, spec.grouping, prefix.empty() ? 3 : 4);
  append_number(out, digits, number < 0, spec.alternate ? prefix : "", spec);
}

/// "1.500e+01" → "1.5e+01"
std::string without_zeros(const std::string& digits) {
  const std::size_t e = digits.find('e');
  std::size_t end = e;
  while (digits.find('.') < end && digits[end - 1] == '0') --end;
  if (digits[end - 1] == '.') --end;
  return digits.substr(0, end) + digits.substr(e);
}

void append_real(TextBuilder& out, double value, const FormatSpec& spec) {
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double magnitude = negative ? -value : value;
  std::string digits;
  if (spec.type == 0 && spec.precision < 0) {
    digits = float_repr(magnitude);
  } else if (spec.type == '%') {
    digits = format_float(magnitude * 100, 'f', spec.precision < 0 ? 6 : spec.precision, spec.alternate) + "%";
  } else {
    const char type = spec.type == 0 || spec.type == 'n' ? 'g' : spec.type;
    digits = format_float(magnitude, type, spec.precision < 0 ? 6 : spec.precision, spec.alternate);
    // Without a type a number looks like a float: a digit behind the point, or an exponent where that has no room.
    if (spec.type == 0 && digits.find_first_not_of("0123456789") == std::string::npos) {
      if (static_cast<int>(digits.size()) < spec.precision) digits += ".0";
      else digits = without_zeros(format_float(magnitude, 'e', std::max(spec.precision - 1, 0)));
    }
  }
  if (spec.grouping != 0) digits = grouped(digits, spec.grouping, 3);
  append_number(out, digits, negative, "", spec);
}

void append_text(TextBuilder& out, Context& context, const MarkedText& letters, const FormatSpec& spec) {
  if (spec.type != 0 && spec.type != 's') fail(text("Unknown format code '", spec.type, "' for object of type 'str'"));
  if (spec.align == '=') fail("'=' alignment not allowed in string format specifier");
  const std::size_t end =
      spec.precision < 0 ? letters.size() : letter_offset(letters.view(), static_cast<std::size_t>(spec.precision));
  context.budget.step_bytes(letters.size());
  const auto size = static_cast<std::int64_t>(count_letters(letters.view().substr(0, end)));
  const std::int64_t missing = std::max<std::int64_t>(spec.width - size, 0);
  const std::int64_t left = spec.align == '>' ? missing : spec.align == '^' ? missing / 2 : 0;
  out.repeat(spec.fill, left);
  out.append(letters, 0, end);
  out.repeat(spec.fill, missing - left);
}

}  // namespace

FormatSpec parse_format_spec(std::string_view spec) {
  FormatSpec out;
  std::size_t at = 0;
  bool filled = false;
  const std::size_t first = spec.empty() ? 0 : letter_at(spec, 0).size;
  if (first > 0 && first < spec.size() && is_align(spec[first])) {
    out.fill = spec.substr(0, first);
    filled = true;
    out.align = spec[first];
    at = first + 1;
  } else if (!spec.empty() && is_align(spec[0])) {
    out.align = spec[0];
    at = 1;
  }
  const auto now = [&] { return at < spec.size() ? spec[at] : '\0'; };
  if (now() == '+' || now() == '-' || now() == ' ') out.sign = spec[at++];
  if (now() == '#') {
    out.alternate = true;
    ++at;
  }
  if (now() == '0') {
    ++at;
    out.zero = true;
    if (!filled) out.fill = "0";
    if (out.align == 0) out.align = '=';
  }
  out.width = read_width(spec, at);
  if (now() == ',' || now() == '_') out.grouping = spec[at++];
  if (now() == '.') {
    ++at;
    if (now() < '0' || now() > '9') fail("Format specifier missing precision");
    const std::int64_t precision = read_width(spec, at);
    out.precision = static_cast<int>(precision);
  }
  if (at < spec.size()) out.type = spec[at++];
  if (at < spec.size()) fail(text("Invalid format specifier '", spec, "'"));
  return out;
}

void append_number(TextBuilder& out, const std::string& digits, bool negative, std::string_view prefix, const FormatSpec& spec) {
  std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  sign += prefix;
  const std::int64_t missing =
      std::max<std::int64_t>(spec.width - static_cast<std::int64_t>(sign.size() + count_letters(digits)), 0);
  if (spec.align == '=') {
    out.append(sign);
    out.repeat(spec.fill, missing);
    return out.append(digits);
  }
  const std::int64_t left = spec.align == '<' ? 0 : spec.align == '^' ? missing / 2 : missing;
  out.repeat(spec.fill, left);
  out.append(sign);
  out.append(digits);
  out.repeat(spec.fill, missing - left);
}

void append_formatted(TextBuilder& out, Context& context, const Value& value, const FormatSpec& spec) {
  context.budget.step();
  if (value.is_number() && spec.precision > kMaxPrecision) fail("a precision in a format is too large", ErrorCode::kExhausted);
  static constexpr std::string_view kIntegerTypes = "bcdoxXn", kRealTypes = "eEfFgG%n";
  const auto is_one_of = [&](std::string_view types) { return types.find(spec.type) != std::string_view::npos; };
  if (value.is_string() || value.is_undefined()) {
    FormatSpec text_spec = spec;
    if (spec.zero && spec.align == '=') text_spec.align = '<';
    return append_text(out, context, str_of(context, value), text_spec);
  }
  const bool plain = spec.width == 0 && spec.type == 0 && spec.precision < 0 && spec.align == 0 && spec.sign == '-' && spec.grouping == 0;
  if (plain || !value.is_number()) {
    if (!plain) fail(text("unsupported format string passed to ", type_name(value), ".__format__"));
    return append_str(out, context, value);
  }
  if (value.is_integer()) {
    if (spec.type == 0 || is_one_of(kIntegerTypes)) return append_integer(out, value, spec);
  } else if (spec.type == 0 || is_one_of(kRealTypes)) {
    return append_real(out, value.as_real(), spec);
  }
  if (value.is_integer() && is_one_of(kRealTypes)) return append_real(out, value.as_real(), spec);
  fail(text("Unknown format code '", spec.type, "' for object of type '", type_name(value), "'"));
}

}  // namespace colonnade::engine::jinja
