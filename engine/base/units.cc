#include "engine/base/units.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "engine/base/format_text.h"

namespace colonnade {
namespace {

std::string with_unit(const char* format, double value, const char* unit) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value, unit);
  return buffer;
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 5) value /= 1024, ++unit;
  return with_unit(unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
}

std::string format_rate(double bytes_per_second) {
  if (bytes_per_second >= 1e9) return with_unit("%.1f %s", bytes_per_second / 1e9, "GB/s");
  return with_unit("%.1f %s", bytes_per_second / 1e6, "MB/s");
}

std::string format_seconds(double seconds) {
  if (seconds < 1e-3) return with_unit("%.0f %s", seconds * 1e6, "us");
  if (seconds < 1) return with_unit("%.1f %s", seconds * 1e3, "ms");
  if (seconds < 60) return with_unit("%.1f %s", seconds, "s");
  constexpr double kDay = 86400;
  if (!(seconds < 100 * kDay)) return with_unit("%.3g %s", seconds / kDay, "days");
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 3600) return text(whole / 60, " min ", whole % 60, " s");
  return text(whole / 3600, " h ", whole % 3600 / 60, " min");
}

Result<std::uint64_t> parse_bytes(std::string_view input) {
  const auto bad = [&] {
    return Error{ErrorCode::kInvalidArgument,
                 text("expected a size such as 512M, 8G or 1.5GiB, found \"", input, "\"")};
  };
  double value = 0;
  const auto [end, status] = std::from_chars(input.data(), input.data() + input.size(), value);
  if (status != std::errc{} || value < 0) return bad();
  std::string_view suffix(end, static_cast<std::size_t>(input.data() + input.size() - end));
  double factor = 1;
  if (!suffix.empty()) {
    static constexpr std::string_view kLetters = "KMGTP";
    const char letter = static_cast<char>(std::toupper(static_cast<unsigned char>(suffix[0])));
    const auto power = kLetters.find(letter);
    if (power != std::string_view::npos) {
      factor = std::pow(1024.0, static_cast<double>(power + 1));
      suffix.remove_prefix(1);
      if (!suffix.empty() && suffix[0] == 'i') suffix.remove_prefix(1);
    }
    if (!suffix.empty() && (suffix[0] == 'B' || suffix[0] == 'b')) suffix.remove_prefix(1);
    if (!suffix.empty()) return bad();
  }
  const double bytes = value * factor;
  if (!(bytes < 9.0e18)) return bad();
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace colonnade
