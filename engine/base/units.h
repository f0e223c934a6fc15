// Sizes, rates and durations as people read and write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace colonnade {

/// 1536 -> "1.5 KiB", 3221225472 -> "3.0 GiB".
std::string format_bytes(std::uint64_t bytes);

/// Bytes a second in decimal units as memory vendors count: "31.4 GB/s".
std::string format_rate(double bytes_per_second);

/// 0.0042 -> "4.2 ms", 95 -> "1 min 35 s".
std::string format_seconds(double seconds);

/// "8G", "512M", "1.5GiB", "4096" -> bytes (binary units). kInvalidArgument names the text.
Result<std::uint64_t> parse_bytes(std::string_view text);

/// The smallest multiple of `multiple` that is >= value.
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
constexpr std::uint64_t div_up(std::uint64_t value, std::uint64_t divisor) { return (value + divisor - 1) / divisor; }

}  // namespace colonnade
