#include "coordinator/metrics.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/format_text.h"

namespace colonnade::coordinator {
namespace {

void append_head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += text("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

std::string number(double value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.15g", value);
  return digits;
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {
  COLONNADE_CHECK(std::is_sorted(bounds_.begin(), bounds_.end()), "histogram bounds must ascend");
}

void Histogram::observe(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  counts_[static_cast<std::size_t>(bound - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

Counter& Metrics::counter(const std::string& name, const std::string& help, const std::string& labels) {
  const std::lock_guard lock(mutex_);
  Family& family = families_[name];
  family.help = help;
  return family.counters[labels];
}

Histogram& Metrics::histogram(const std::string& name, const std::string& help, std::vector<double> bounds) {
  const std::lock_guard lock(mutex_);
  Family& family = families_[name];
  family.help = help;
  if (family.histograms.empty()) family.histograms.emplace_back(std::move(bounds));
  return family.histograms.front();
}

std::string Metrics::render() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& [name, family] : families_) {
    append_head(out, name, family.histograms.empty() ? "counter" : "histogram", family.help);
    for (const auto& [labels, counter] : family.counters) {
      out += text(name, labels.empty() ? "" : "{" + labels + "}", " ", counter.value(), "\n");
    }
    for (const Histogram& histogram : family.histograms) {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < histogram.counts_.size(); ++i) {
        sum += histogram.counts_[i].load(std::memory_order_relaxed);
        const std::string bound = i < histogram.bounds_.size() ? number(histogram.bounds_[i]) : "+Inf";
        out += text(name, "_bucket{le=\"", bound, "\"} ", sum, "\n");
      }
      out += text(name, "_sum ", number(histogram.sum_.load(std::memory_order_relaxed)), "\n", name, "_count ", sum, "\n");
    }
  }
  return out;
}

void append_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help, double value) {
  append_head(out, name, type, help);
  out += text(name, " ", number(value), "\n");
}

}  // namespace colonnade::coordinator
