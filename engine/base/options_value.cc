#include "engine/base/options_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade {
namespace {

constexpr double kNoBound = 1e300;  // as in Option

/// " from 1 to 65535", " of at least 1", or nothing.
std::string range_text(const Option& option) {
  const bool has_min = option.min > -kNoBound;
  const bool has_max = option.max < kNoBound;
  // Whole numbers with all their digits.
  const auto bound = [&](double value) {
    return option.kind == OptionKind::kInt && std::fabs(value) < 1e18 ? text(static_cast<std::int64_t>(value)) : text(value);
  };
  if (has_min && has_max) return text(" from ", bound(option.min), " to ", bound(option.max));
  if (has_min) return text(" of at least ", bound(option.min));
  if (has_max) return text(" of at most ", bound(option.max));
  return "";
}

bool in_range(const Option& option, double value) { return value >= option.min && value <= option.max; }

Result<std::string> check_flag(std::string_view value, std::string_view where) {
  for (const char* yes : {"true", "1", "yes", "on"})
    if (value == yes) return std::string("true");
  for (const char* no : {"false", "0", "no", "off"})
    if (value == no) return std::string("false");
  return Error{ErrorCode::kInvalidArgument, text(where, ": expected true or false, found \"", value, "\"")};
}

Result<std::string> check_choice(const Option& option, std::string_view value, std::string_view where) {
  if (std::find(option.choices.begin(), option.choices.end(), value) != option.choices.end())
    return std::string(value);
  std::string names;
  for (const std::string& choice : option.choices) names += (names.empty() ? "" : ", ") + choice;
  std::string message = text(where, ": expected one of ", names, "; found \"", value, "\"");
  const std::string near = nearest_word(value, option.choices);
  if (!near.empty()) message += text("; did you mean ", near, "?");
  return Error{ErrorCode::kInvalidArgument, message};
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

Result<std::string> check_value(const Option& option, std::string_view value, std::string_view where) {
  const auto expected = [&](std::string_view what) {
    return Error{ErrorCode::kInvalidArgument,
                 text(where, ": expected ", what, range_text(option), ", found \"", value, "\"")};
  };
  switch (option.kind) {
    case OptionKind::kFlag: return check_flag(value, where);
    case OptionKind::kChoice: return check_choice(option, value, where);
    case OptionKind::kText: return std::string(value);
    case OptionKind::kInt: {
      const auto number = parse_integer(value);
      if (!number || !in_range(option, static_cast<double>(*number))) return expected("a whole number");
      return std::string(value);
    }
    case OptionKind::kNumber: {
      const auto number = parse_number(value);
      if (!number || !in_range(option, *number)) return expected("a number");
      return std::string(value);
    }
    case OptionKind::kBytes: {
      const auto bytes = parse_bytes(value);
      if (!bytes.ok()) return Error{bytes.error().code, text(where, ": ", bytes.error().message)};
      return std::string(value);
    }
  }
  COLONNADE_CHECK(false, "unknown option kind");
}

}  // namespace colonnade
