// Characters of UTF-8 as numbers.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace colonnade::engine {

struct CodePoint {
  char32_t value;
  std::size_t size;  // bytes
};
/// What `bytes` begins with; nothing when that is no character.
std::optional<CodePoint> first_code_point(std::string_view bytes);
/// All of them; what is no character becomes U+FFFD.
std::u32string code_points(std::string_view bytes);

}  // namespace colonnade::engine
