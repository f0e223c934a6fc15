// Log lines of one format: "2026-11-22T10:15:04.123 info  rank 0  loaded 1.2 GiB". Libraries do not print
// anything else; what a command prints for its user goes to stdout from coordinator/cli.
#pragma once

#include <string_view>

namespace colonnade {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Sets what log() shows (default kInfo). Thread-safe.
void set_log_level(LogLevel level);
LogLevel log_level();

/// Names the process in every line, e.g. "rank 3" or "coordinator". Call before threads start.
void set_log_name(std::string_view name);

/// Writes one whole line to stderr with a single write(2), so lines of several threads never mix. Thread-safe.
void log(LogLevel level, std::string_view message);

inline void log_debug(std::string_view message) { log(LogLevel::kDebug, message); }
inline void log_info(std::string_view message) { log(LogLevel::kInfo, message); }
inline void log_warning(std::string_view message) { log(LogLevel::kWarning, message); }
inline void log_error(std::string_view message) { log(LogLevel::kError, message); }

}  // namespace colonnade
