#include "engine/base/log.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

namespace colonnade {
namespace {

std::atomic<LogLevel> current_level{LogLevel::kInfo};

std::string& log_name() {
  static std::string name;
  return name;
}

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info ";
    case LogLevel::kWarning: return "warn ";
    case LogLevel::kError: return "error";
  }
  return "?";
}

}  // namespace

void set_log_level(LogLevel level) { current_level.store(level, std::memory_order_relaxed); }
LogLevel log_level() { return current_level.load(std::memory_order_relaxed); }
void set_log_name(std::string_view name) { log_name() = name; }

void log(LogLevel level, std::string_view message) {
  if (level < log_level()) return;
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm fields{};
  localtime_r(&seconds, &fields);
  char stamp[64];
  const std::size_t length = std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &fields);
  std::snprintf(stamp + length, sizeof stamp - length, ".%03d ", static_cast<int>(millis));
  std::string line = stamp;
  line += level_name(level);
  line += ' ';
  if (!log_name().empty()) line += log_name() + "  ";
  line += message;
  line += '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace colonnade
