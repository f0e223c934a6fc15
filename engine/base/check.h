// COLONNADE_CHECK: an invariant of our own code, always on. A failed check is a bug and ends the process with
// one line that names the place; what users or the world can cause is a Result (result.h).
#pragma once

#include <string_view>

namespace colonnade {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, std::string_view message);

}  // namespace colonnade

#define COLONNADE_CHECK(condition, message)                                                      \
  do {                                                                                           \
    if (!(condition)) [[unlikely]]                                                               \
      ::colonnade::check_failed(__FILE__, __LINE__, #condition, (message));                      \
  } while (false)
