// text("a ", 3, " b"): builds a message from parts; g++ 12 has no <format>.
#pragma once

#include <sstream>
#include <string>

namespace colonnade {

template <typename... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

}  // namespace colonnade
