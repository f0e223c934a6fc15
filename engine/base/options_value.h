// Whether a text is a value of an option. Used where values come in (options.cc); the getters rely on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/options.h"

namespace colonnade {

/// The whole of `text` as a decimal number, or nothing.
std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<double> parse_number(std::string_view text);

/// The text in the form in which it is stored ("true" for a flag's "yes"), or an error that starts with `where`
/// ("--port", "COLONNADE_PORT", "file.conf line 3: port").
Result<std::string> check_value(const Option& option, std::string_view text, std::string_view where);

}  // namespace colonnade
