// Progress of long work: on a terminal one bar with rate and time left, redrawn in place; elsewhere a log line
// every few seconds. The caller counts; this only shows.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace colonnade {

enum class ProgressUnit {
  kBytes,
  kItems,
  kShare,  // of work whose amount says nothing to people: only the percentage and the time are shown
};

/// Thread-safe: any thread may add(); a thread of its own draws. The destructor (or finish()) draws the last
/// state with the total time and rate.
class Progress {
 public:
  /// `label` is e.g. "packing"; total 0 means unknown.
  Progress(std::string_view label, std::uint64_t total, ProgressUnit unit);
  /// A part of longer work, which has a bar already: where there is a `watcher`, nothing is shown, and it is called with the fraction that is
  /// done after each add(), in the thread that adds.
  Progress(std::string_view label, std::uint64_t total, ProgressUnit unit, std::function<void(double)> watcher);
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
