// Character classes and escapes of patterns, for regex_syntax.cc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace colonnade::engine {

/// One escape, in the syntax of PCRE2.
struct ClassItem {
  std::string content;   // what stands between the brackets of a class
  bool is_set = false;   // several characters: outside of a class it needs brackets
  bool negated = false;  // the characters that are not in `content`
};
/// Reads the escape at pattern[at] and moves `at` behind it.
Result<ClassItem> read_escape(std::string_view pattern, std::size_t& at);

/// What \b (or \B) means by our \w.
std::string word_boundary(bool negated);

/// Reads the class at pattern[at] ('[') with classes inside of it and "&&"; moves `at` behind it. The result matches
/// exactly one character.
Result<std::string> translate_class(std::string_view pattern, std::size_t& at, int depth = 0);

}  // namespace colonnade::engine
