// Numbers for Prometheus: counters and histograms that any thread may bump, rendered as text on request.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace colonnade::coordinator {

/// Thread-safe, without locks.
class Counter {
 public:
  void add(std::uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Counts of values up to each of its bounds. Thread-safe, without locks.
class Histogram {
 public:
  /// Upper bounds in ascending order; one for everything larger is added.
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);

 private:
  friend class Metrics;
  std::vector<double> bounds_;
  std::deque<std::atomic<std::uint64_t>> counts_;  // one more than bounds
  std::atomic<double> sum_{0.0};
};

/// A registry: each metric is made once by name (and labels) and lives as long as the registry. Thread-safe.
class Metrics {
 public:
  /// `labels` as in the text format, e.g. `route="/health",status="200"`, or "".
  Counter& counter(const std::string& name, const std::string& help, const std::string& labels = "");
  Histogram& histogram(const std::string& name, const std::string& help, std::vector<double> bounds);

  /// Prometheus text format 0.0.4, families in the order of their names.
  std::string render() const;

 private:
  struct Family {
    std::string help;
    std::map<std::string, Counter> counters;  // by labels; nodes do not move
    std::deque<Histogram> histograms;         // none or one
  };
  mutable std::mutex mutex_;
  std::map<std::string, Family> families_;
};

/// Lines of one metric whose value is known only when asked: "# HELP …", "# TYPE …" and the value.
void append_metric(std::string& text, std::string_view name, std::string_view type, std::string_view help, double value);

}  // namespace colonnade::coordinator
