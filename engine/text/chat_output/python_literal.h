// Values as Python spells them, which some models write where others write JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace colonnade::engine {

/// {'a': [True, None, "x"]} as JSON; nothing when it is no literal (or deeper than 64).
std::optional<std::string> json_of_python(std::string_view literal);

/// a=1, b="x" as a JSON object.
std::optional<std::string> json_of_python_arguments(std::string_view arguments);

/// The text if it is one JSON value, without white space around it, control characters in strings escaped.
std::optional<std::string> json_value(std::string_view text);

}  // namespace colonnade::engine
