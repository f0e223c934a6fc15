// Cells of tables.
#pragma once

#include <cstdio>
#include <string>

namespace colonnade::cli {

/// printf into a string; at most 511 characters.
template <typename... Values>
std::string print(const char* format, Values... values) {
  char line[512];
  std::snprintf(line, sizeof line, format, values...);
  return line;
}

/// A CSV field; quotes are doubled.
inline std::string quoted(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace colonnade::cli
