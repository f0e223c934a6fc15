// Numbers and integers: bounds and multiples.
#include <algorithm>
#include <cmath>
#include <map>

#include "engine/base/format_text.h"
#include "engine/text/grammar/decimal_range.h"
#include "engine/text/grammar/schema_compiler.h"

namespace colonnade::engine {
namespace {

constexpr int kIntegerDigits = 18;
constexpr int kNumberDigits = 16;
constexpr std::int64_t kMaxListed = 1000;  // multiples written one by one
constexpr std::int64_t kMaxStep = 100;     // of multiples recognised by their remainder

/// The tighter of "minimum" and "exclusiveMinimum" (a number, or true as in draft 4), or of the two for the maximum.
Status read_bound(const OrderedJson& schema, const char* keyword, const char* exclusive_keyword, int sign, const std::string& pointer,
                  std::optional<Decimal>& bound, bool& exclusive) {
  const auto read = [&](const char* name, bool excludes) -> Status {
    const OrderedJson& value = schema[name];
    const std::optional<Decimal> found = decimal_of(value);
    if (!value.is_number()) return schema_error(ErrorCode::kInvalidArgument, pointer, name, "must be a number");
    if (!found) return schema_error(ErrorCode::kUnsupported, pointer, name, text("must have at most 18 digits before and 16 after the point, found ", value.dump()));
    const int order = bound ? sign * compare(*found, *bound) : 1;
    if (order > 0) {
      bound = found;
      exclusive = excludes;
    } else if (order == 0) {
      exclusive = exclusive || excludes;
    }
    return {};
  };
  const OrderedJson other = schema.value(exclusive_keyword, OrderedJson());
  if (schema.contains(keyword)) COLONNADE_TRY(read(keyword, other == true));
  if (!other.is_null() && !other.is_boolean()) COLONNADE_TRY(read(exclusive_keyword, true));
  return {};
}

std::int64_t to_integer(const Decimal& value) {
  const std::int64_t magnitude = std::stoll(value.whole);  // at most 18 digits
  return value.negative ? -magnitude : magnitude;
}

/// 10^-k as a step: k; nothing when it is no such power.
std::optional<int> power_of_ten(const Decimal& step) {
  if (step.whole != "0" || step.fraction.empty() || step.fraction.back() != '1') return std::nullopt;
  if (step.fraction.find_first_not_of('0') != step.fraction.size() - 1) return std::nullopt;
  return static_cast<int>(step.fraction.size());
}

}  // namespace

Result<GrammarExpr> SchemaCompiler::number(bool integer, const OrderedJson& schema, const std::string& pointer) {
  DecimalBounds bounds;
  COLONNADE_TRY(read_bound(schema, "minimum", "exclusiveMinimum", 1, pointer, bounds.least, bounds.above_least));
  COLONNADE_TRY(read_bound(schema, "maximum", "exclusiveMaximum", -1, pointer, bounds.most, bounds.below_most));
  bounds.whole_digits = integer ? kIntegerDigits : kNumberDigits;
  bounds.fraction_digits = integer ? 0 : kNumberDigits;
  for (const auto& bound : {bounds.least, bounds.most})
    if (bound) bounds.whole_digits = std::max(bounds.whole_digits, static_cast<int>(bound->whole.size()));
  if (const auto step = schema.find("multipleOf"); step != schema.end()) {
    const std::optional<Decimal> value = decimal_of(*step);
    if (!step->is_number() || (value && (value->negative || value->is_zero())))
      return schema_error(ErrorCode::kInvalidArgument, pointer, "multipleOf", "must be a number above 0");
    const std::optional<int> digits = value ? power_of_ten(*value) : std::nullopt;
    if (digits) {
      bounds.fraction_digits = std::min(bounds.fraction_digits, *digits);
    } else if (!value || !value->fraction.empty()) {
      return schema_error(ErrorCode::kUnsupported, pointer, "multipleOf", text("must be a whole number or a power of ten, found ", step->dump()));
    } else if (value->whole != "1") {
      return multiples(to_integer(*value), schema, pointer);
    } else {
      bounds.fraction_digits = 0;
    }
    return decimal_range(b_, bounds);
  }
  if (bounds.least || bounds.most) return decimal_range(b_, bounds);
  return integer ? json_.integer() : json_.number();
}

/// Multiples of a whole number above 1.
Result<GrammarExpr> SchemaCompiler::multiples(std::int64_t step, const OrderedJson& schema, const std::string& pointer) {
  DecimalBounds bounds;
  COLONNADE_TRY(read_bound(schema, "minimum", "exclusiveMinimum", 1, pointer, bounds.least, bounds.above_least));
  COLONNADE_TRY(read_bound(schema, "maximum", "exclusiveMaximum", -1, pointer, bounds.most, bounds.below_most));
  if (bounds.least && bounds.most) {
    // Whole numbers beside the bounds, then multiples from there.
    std::int64_t first = to_integer(*bounds.least), last = to_integer(*bounds.most);
    const auto at_bound = [](std::int64_t n, const Decimal& bound) { return bound.fraction.empty() && n == to_integer(bound); };
    const auto fits = [&](std::int64_t n) {
      const Decimal value{n < 0, std::to_string(n < 0 ? -n : n), ""};
      const int low = compare(value, *bounds.least), high = compare(value, *bounds.most);
      return low >= 0 && high <= 0 && !(bounds.above_least && at_bound(n, *bounds.least)) && !(bounds.below_most && at_bound(n, *bounds.most));
    };
    const std::int64_t from = first / step - 1, to = last / step + 1;
    if (to - from > kMaxListed + 3)
      return schema_error(ErrorCode::kUnsupported, pointer, "multipleOf", text("between two bounds must leave at most ", kMaxListed, " values"));
    std::vector<GrammarExpr> ways;
    for (std::int64_t k = from; k <= to; ++k)
      if (std::int64_t n = 0; !__builtin_mul_overflow(k, step, &n) && fits(n)) ways.push_back(b_.literal(std::to_string(n)));
    return b_.choice(ways);
  }
  const bool from_zero = bounds.least && bounds.least->is_zero();
  if ((bounds.least && !from_zero) || bounds.most)
    return schema_error(ErrorCode::kUnsupported, pointer, "multipleOf", "beside one bound is supported where that is a minimum of 0");
  if (step > kMaxStep) return schema_error(ErrorCode::kUnsupported, pointer, "multipleOf", text("must be at most ", kMaxStep, " without bounds, found ", step));
  // One rule for each remainder of the digits so far and each number of digits that may follow.
  std::map<std::pair<std::int64_t, int>, GrammarRule> rules;
  std::vector<std::pair<std::int64_t, int>> waiting;
  const auto use = [&](std::int64_t remainder, int left) {
    const auto [place, is_new] = rules.try_emplace({remainder, left}, 0);
    if (is_new) {
      place->second = b_.declare("multiple");
      waiting.emplace_back(remainder, left);
    }
    return b_.use(place->second);
  };
  const auto digits = [&](std::int64_t remainder, int left, int first) {
    std::vector<GrammarExpr> ways;
    for (int digit = first; digit <= 9; ++digit)
      ways.push_back(b_.sequence({b_.literal(std::to_string(digit)), use((10 * remainder + digit) % step, left - 1)}));
    return b_.choice(ways);
  };
  const GrammarExpr positive = digits(0, kIntegerDigits, 1);
  while (!waiting.empty()) {
    const auto [remainder, left] = waiting.back();
    waiting.pop_back();
    std::vector<GrammarExpr> ways;
    if (remainder == 0) ways.push_back(b_.empty());
    if (left > 0) ways.push_back(digits(remainder, left, 0));
    b_.define(rules[{remainder, left}], b_.choice(ways));
  }
  std::vector<GrammarExpr> ways;
  if (!(from_zero && bounds.above_least)) ways.push_back(b_.literal("0"));
  ways.push_back(from_zero ? positive : b_.sequence({b_.optional(b_.literal("-")), positive}));
  return b_.choice(ways);
}

}  // namespace colonnade::engine
