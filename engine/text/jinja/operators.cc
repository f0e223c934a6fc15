#include "engine/text/jinja/operators.h"

#include <cmath>

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/format.h"
#include "engine/text/jinja/markup.h"

namespace colonnade::engine::jinja {
namespace {

const char* symbol_of(Operation operation) {
  switch (operation) {
    case Operation::kAdd:
    case Operation::kPlus: return "+";
    case Operation::kSubtract:
    case Operation::kMinus: return "-";
    case Operation::kMultiply: return "*";
    case Operation::kDivide: return "/";
    case Operation::kFloorDivide: return "//";
    case Operation::kModulo: return "%";
    case Operation::kPower: return "** or pow()";
  }
  return "?";
}

[[noreturn]] void fail_operands(Operation operation, const Value& left, const Value& right) {
  if (left.is_undefined()) fail(left.as_undefined().message);
  if (right.is_undefined()) fail(right.as_undefined().message);
  if (operation == Operation::kAdd && left.is_string())
    fail(text("can only concatenate str (not \"", type_name(right), "\") to str"));
  fail(text("unsupported operand type(s) for ", symbol_of(operation), ": '", type_name(left), "' and '", type_name(right), "'"));
}

[[noreturn]] void fail_overflow() { fail("an integer does not fit in 64 bits", ErrorCode::kExhausted); }

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == -1) {
    if (a == INT64_MIN) fail_overflow();
    return -a;
  }
  const std::int64_t quotient = a / b;
  return quotient * b != a && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

std::int64_t modulo(std::int64_t a, std::int64_t b) {
  if (b == -1) return 0;
  const std::int64_t remainder = a % b;
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

Value integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) fail("0.0 cannot be raised to a negative power");
    return Value::real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1) return Value::integer(exponent == 0 ? 1 : base);
  if (base == -1) return Value::integer(exponent % 2 == 0 ? 1 : -1);
  std::int64_t result = 1;
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(result, base, &result)) fail_overflow();
  return Value::integer(result);
}

Value integers(Operation operation, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (operation) {
    case Operation::kAdd:
      if (__builtin_add_overflow(a, b, &result)) fail_overflow();
      return Value::integer(result);
    case Operation::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) fail_overflow();
      return Value::integer(result);
    case Operation::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) fail_overflow();
      return Value::integer(result);
    case Operation::kDivide:
      if (b == 0) fail("division by zero");
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    case Operation::kFloorDivide:
      if (b == 0) fail("integer division or modulo by zero");
      return Value::integer(floor_divide(a, b));
    case Operation::kModulo:
      if (b == 0) fail("integer division or modulo by zero");
      return Value::integer(modulo(a, b));
    default: return integer_power(a, b);
  }
}

Value reals(Operation operation, double a, double b) {
  switch (operation) {
    case Operation::kAdd: return Value::real(a + b);
    case Operation::kSubtract: return Value::real(a - b);
    case Operation::kMultiply: return Value::real(a * b);
    case Operation::kDivide:
      if (b == 0) fail("float division by zero");
      return Value::real(a / b);
    case Operation::kPower: {
      if (a == 0 && b < 0) fail("0.0 cannot be raised to a negative power");
      if (a < 0 && std::isfinite(b) && b != std::floor(b)) fail("a negative number cannot be raised to a fraction here");
      const double result = std::pow(a, b);
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) fail("Result too large", ErrorCode::kExhausted);
      return Value::real(result);
    }
    default: break;
  }
  if (b == 0) fail(operation == Operation::kModulo ? "float modulo" : "float divmod()");
  double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder == 0) {
    remainder = std::copysign(0.0, b);
  } else if ((remainder < 0) != (b < 0)) {
    remainder += b;
    quotient -= 1;
  }
  if (operation == Operation::kModulo) return Value::real(remainder);
  if (quotient == 0) return Value::real(std::copysign(0.0, a / b));
  double whole = std::floor(quotient);
  if (quotient - whole > 0.5) whole += 1;
  return Value::real(whole);
}

Value repeated(Context& context, const Value& subject, std::int64_t times) {
  if (subject.is_string()) {
    TextBuilder out(context);
    if (subject.as_text().empty()) return subject;
    for (std::int64_t i = 0; i < times; ++i) {
      context.budget.step();
      out.append(subject.as_text());
    }
    return out.value(subject.is_markup());
  }
  const Sequence& sequence = *subject.as_sequence();
  Values items;
  if (times > 0 && !sequence.items.empty()) {
    const auto n = static_cast<std::uint64_t>(times);
    // Before the memory is taken.
    context.budget.step(n);
    const Charge charge(&context.budget, std::min<std::size_t>(n * sequence.items.size(), SIZE_MAX / 64) * sizeof(Value));
    for (std::uint64_t i = 0; i < n; ++i) items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return context.list(std::move(items), sequence.type == Sequence::Type::kList ? sequence.type : Sequence::Type::kTuple);
}

bool can_repeat(const Value& value) {
  if (value.is_string()) return true;
  if (!value.is(Kind::kSequence)) return false;
  const auto type = value.as_sequence()->type;
  return type == Sequence::Type::kList || type == Sequence::Type::kTuple || type == Sequence::Type::kGroup;
}

Value joined(Context& context, const Value& left, const Value& right) {
  if (left.is_markup() || right.is_markup()) {
    TextBuilder out(context);
    out.append(escaped_text(context, left));
    out.append(escaped_text(context, right));
    return out.value(true);
  }
  TextBuilder out(context);
  out.append(left.as_text());
  out.append(right.as_text());
  return out.value();
}

bool is_list(const Value& value, bool tuple) {
  if (!value.is(Kind::kSequence)) return false;
  const auto type = value.as_sequence()->type;
  return tuple ? type == Sequence::Type::kTuple || type == Sequence::Type::kGroup : type == Sequence::Type::kList;
}

}  // namespace

Value apply_operation(Context& context, Operation operation, const Value& left, const Value& right) {
  context.budget.step();
  if (left.is_number() && right.is_number()) {
    if (left.is_integer() && right.is_integer()) return integers(operation, left.as_integer(), right.as_integer());
    return reals(operation, left.as_real(), right.as_real());
  }
  if (operation == Operation::kAdd) {
    if (left.is_string() && right.is_string()) return joined(context, left, right);
    for (const bool tuple : {false, true}) {
      if (!is_list(left, tuple) || !is_list(right, tuple)) continue;
      Values items = left.as_sequence()->items;
      items.insert(items.end(), right.as_sequence()->items.begin(), right.as_sequence()->items.end());
      return context.list(std::move(items), tuple ? Sequence::Type::kTuple : Sequence::Type::kList);
    }
  }
  if (operation == Operation::kMultiply) {
    if (can_repeat(left) && right.is_integer()) return repeated(context, left, right.as_integer());
    if (can_repeat(right) && left.is_integer()) return repeated(context, right, left.as_integer());
  }
  if (operation == Operation::kModulo && left.is_string()) return format_percent(context, left, right);
  fail_operands(operation, left, right);
}

Value apply_sign(Context& context, Operation operation, const Value& operand) {
  context.budget.step();
  const bool minus = operation == Operation::kMinus;
  if (operand.is(Kind::kFloat)) return Value::real(minus ? -operand.as_real() : operand.as_real());
  if (operand.is_integer()) {
    if (minus && operand.as_integer() == INT64_MIN) fail_overflow();
    return Value::integer(minus ? -operand.as_integer() : operand.as_integer());
  }
  if (operand.is_undefined()) fail(operand.as_undefined().message);
  fail(text("bad operand type for unary ", symbol_of(operation), ": '", type_name(operand), "'"));
}

bool compare_values(Context& context, Comparison comparison, const Value& left, const Value& right) {
  const auto unordered = [&] {
    return left.is_number() && right.is_number() && (std::isnan(left.as_real()) || std::isnan(right.as_real()));
  };
  switch (comparison) {
    case Comparison::kEqual: return equals(context, left, right);
    case Comparison::kNotEqual: return !equals(context, left, right);
    case Comparison::kLess: return less(context, left, right, "<");
    case Comparison::kGreater: return less(context, right, left, ">");
    case Comparison::kLessEqual: return !less(context, right, left, "<=") && !unordered();
    case Comparison::kGreaterEqual: return !less(context, left, right, ">=") && !unordered();
    case Comparison::kIn: return contains(context, right, left);
    case Comparison::kNotIn: return !contains(context, right, left);
  }
  return false;
}

}  // namespace colonnade::engine::jinja
