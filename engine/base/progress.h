// Progress of long work: on a terminal one bar with rate and time left, redrawn in place; elsewhere a log line
// every few seconds. The caller counts; this only shows.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace colonnade {

enum class ProgressUnit { kBytes, kItems };

/// Thread-safe: any thread may add(); a thread of its own draws. The destructor (or finish()) draws the last
/// state with the total time and rate.
class Progress {
 public:
  /// `label` is e.g. "packing"; total 0 means unknown.
  Progress(std::string_view label, std::uint64_t total, ProgressUnit unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(std::uint64_t amount);
  /// Stops drawing and leaves one final line. Idempotent.
  void finish();

  /// The line as it would be drawn now, without control characters: "packing  45 %  1.2 GiB of 2.7 GiB  310.0 MB/s  4.8 s left".
  std::string line() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace colonnade
