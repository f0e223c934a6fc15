// Numbers and strings as they are spelled in expressions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace colonnade::engine::jinja {

struct NumberLiteral {
  std::size_t size = 0;  // bytes; 0: there is no number
  bool is_float = false;
  bool fits = true;  // an integer in 64 bits
  std::int64_t integer = 0;
  double real = 0;
};

/// The number at `position`: 12, 1_000, 0x1f, 0b1, 0o7, 1.5, 1e3. After a '.' there are no floats (`x.0.1`).
NumberLiteral read_number(std::string_view source, std::size_t position);

/// What is between the quotes, with Python's escapes decoded.
Result<std::string> unescape(std::string_view quoted);

}  // namespace colonnade::engine::jinja
