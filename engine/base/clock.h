// Time as a value that is passed, so that policies can be tested without waiting.
#pragma once

#include <chrono>
#include <cstdint>

namespace colonnade {

using Microseconds = std::chrono::microseconds;

/// Monotonic time in seconds since an arbitrary start.
inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Monotonic time in microseconds since an arbitrary start.
inline std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace colonnade
