// Python's two ways of formatting: "%s" % values, and "{}".format(values).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/text/jinja/context.h"

namespace colonnade::engine::jinja {

/// `values` is a tuple of them, a dict for %(name)s, or one value.
Value format_percent(Context& context, const Value& format, const Value& values);

Value format_braces(Context& context, const Value& format, Arguments& arguments);
Value format_braces_map(Context& context, const Value& format, const Value& mapping);

/// What is between the brackets of a field after ':', or a '%' conversion's flags.
struct FormatSpec {
  std::string fill = " ";
  char align = 0;  // < > = ^; 0: by type
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  char grouping = 0;  // , or _
  std::int64_t width = 0;
  int precision = -1;
  char type = 0;
};
/// Fails for what Python refuses.
FormatSpec parse_format_spec(std::string_view spec);
/// format(value, spec)
void append_formatted(TextBuilder& out, Context& context, const Value& value, const FormatSpec& spec);
/// `digits` of a number with a sign in front, filled to the width.
void append_number(TextBuilder& out, const std::string& digits, bool negative, std::string_view prefix, const FormatSpec& spec);

inline constexpr int kMaxPrecision = 1000;

}  // namespace colonnade::engine::jinja
