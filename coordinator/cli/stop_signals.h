// SIGINT and SIGTERM as something to wait for.
#pragma once

namespace colonnade::cli {

/// From construction on the two signals no longer end the process; one object at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();  // the signals end the process again
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// How many have come so far.
  int count() const;

  /// The number of the last one; 0 before there was one.
  int last() const;

  /// Readable after one has come, until wait() is called.
  int descriptor() const;

  /// Waits until another one comes, ring() is called or `seconds` are over (negative: no limit).
  void wait(double seconds);

  /// Ends the present or next wait(). From any thread.
  void ring();
};

}  // namespace colonnade::cli
