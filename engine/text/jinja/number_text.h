// Numbers as Python writes and reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colonnade::engine::jinja {

/// repr(float): the shortest digits that read back as the same number; "1e+16", "inf", "nan".
std::string float_repr(double value);

/// printf's style: type is one of e E f F g G; `alternate` is '#'.
std::string format_float(double value, char type, int precision, bool alternate = false);

/// Python's round(value, digits), correct for the number's exact binary value.
double round_to(double value, std::int64_t digits);

/// int(text, base): white space around, a sign, '_' between digits, a prefix that fits the base (0: any).
std::optional<std::int64_t> parse_integer(std::string_view text, int base);
/// float(text): also "inf", "nan", "1_000.5".
std::optional<double> parse_float(std::string_view text);

}  // namespace colonnade::engine::jinja
