// Filters of numbers.
#include <cmath>

#include "engine/base/format_text.h"
#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/number_text.h"
#include "engine/text/jinja/operators.h"

namespace colonnade::engine::jinja {
namespace {

Value absolute(Context& context, const Value& subject, const Bound&) {
  if (!subject.is_number()) {
    if (subject.is_undefined()) fail(subject.as_undefined().message);
    fail(text("bad operand type for abs(): '", type_name(subject), "'"));
  }
  const bool negative = subject.is(Kind::kFloat) ? std::signbit(subject.as_real()) : subject.as_integer() < 0;
  return apply_sign(context, negative ? Operation::kMinus : Operation::kPlus, subject);
}

std::int64_t truncated(double value) {
  if (std::isnan(value)) fail("cannot convert float NaN to integer");
  if (!(std::abs(value) < 0x1p63)) fail("an integer does not fit in 64 bits", ErrorCode::kExhausted);
  return static_cast<std::int64_t>(value);
}

Value to_integer(Context&, const Value& subject, const Bound& arguments) {
  if (subject.is_undefined()) fail(subject.as_undefined().message);
  if (subject.is_integer()) return Value::integer(subject.as_integer());
  if (subject.is(Kind::kFloat) && !std::isnan(subject.as_real())) return Value::integer(truncated(subject.as_real()));
  if (subject.is_string()) {
    const std::int64_t base = arguments.integer(1, 10);
    const std::string_view words = subject.as_text().view();
    if (const auto number = parse_integer(words, static_cast<int>(std::min<std::int64_t>(std::max<std::int64_t>(base, 0), 99))))
      return Value::integer(*number);
    // "42.23"|int gives 42.
    if (const auto real = parse_float(words); real && !std::isnan(*real)) return Value::integer(truncated(*real));
  }
  return arguments.find(0) != nullptr ? *arguments.find(0) : Value::integer(0);
}

Value to_real(Context&, const Value& subject, const Bound& arguments) {
  if (subject.is_undefined()) fail(subject.as_undefined().message);
  if (subject.is_number()) return Value::real(subject.as_real());
  if (subject.is_string()) {
    if (const auto real = parse_float(subject.as_text().view())) return Value::real(*real);
  }
  return arguments.find(0) != nullptr ? *arguments.find(0) : Value::real(0);
}

/// round(1250, -2): to the even hundred.
Value round_integer(std::int64_t value, std::int64_t digits) {
  if (digits >= 0) return Value::integer(value);
  if (digits < -18) return Value::integer(0);
  std::int64_t power = 1;
  for (std::int64_t i = digits; i < 0; ++i) power *= 10;
  const std::int64_t rest = ((value % power) + power) % power;
  std::int64_t down = 0, up = 0;
  if (__builtin_sub_overflow(value, rest, &down)) fail("an integer does not fit in 64 bits", ErrorCode::kExhausted);
  if (rest < power - rest || (rest == power - rest && down / power % 2 == 0)) return Value::integer(down);
  if (__builtin_add_overflow(down, power, &up)) fail("an integer does not fit in 64 bits", ErrorCode::kExhausted);
  return Value::integer(up);
}

Value round(Context&, const Value& subject, const Bound& arguments) {
  if (!subject.is_number()) fail_argument("round", "the value", "a number", subject);
  const std::int64_t digits = arguments.integer(0, 0);
  const std::string method = arguments.find(1) != nullptr ? arguments.string(1).bytes() : "common";
  if (method == "common") {
    if (subject.is_integer()) return round_integer(subject.as_integer(), digits);
    return Value::real(round_to(subject.as_real(), digits));
  }
  if (method != "ceil" && method != "floor") fail(text("round(): method must be common, ceil or floor, found '", method, "'"));
  if (std::abs(static_cast<double>(digits)) > 300) fail("round(): precision is too large", ErrorCode::kExhausted);
  const double power = std::pow(10.0, static_cast<double>(digits));
  const double scaled = subject.as_real() * power;
  if (!std::isfinite(scaled)) fail("cannot convert float infinity to integer");
  return Value::real((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / power);
}

Value file_size(Context& context, const Value& subject, const Bound& arguments) {
  std::optional<double> bytes;
  if (subject.is_number()) bytes = subject.as_real();
  else if (subject.is_string()) bytes = parse_float(subject.as_text().view());
  if (!bytes) fail_argument("filesizeformat", "the value", "a number", subject);
  const bool binary = arguments.boolean(0, false);
  const double base = binary ? 1024 : 1000;
  if (*bytes == 1) return context.string("1 Byte");
  if (*bytes < base) return context.string(text(truncated(*bytes), " Bytes"));
  static constexpr const char* kPrefixes[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  double unit = base;
  for (std::size_t i = 0;; ++i) {
    unit *= base;
    if (*bytes >= unit && i + 1 < std::size(kPrefixes)) continue;
    std::string prefix = kPrefixes[i];
    if (binary) prefix = std::string(1, i == 0 ? 'K' : prefix[0]) + "iB";
    return context.string(format_float(base * *bytes / unit, 'f', 1) + " " + prefix);
  }
}

}  // namespace

std::span<const Filter> number_filters() {
  static const Filter kFilters[] = {
      {{"abs", "", 0}, absolute},
      {{"filesizeformat", "binary", 0}, file_size},
      {{"float", "default", 0}, to_real},
      {{"int", "default base", 0}, to_integer},
      {{"round", "precision method", 0}, round},
  };
  return kFilters;
}

}  // namespace colonnade::engine::jinja
