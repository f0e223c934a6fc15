#include <catch2/catch.hpp>
#include <thread>

#include "coordinator/metrics.h"

using namespace colonnade::coordinator;

TEST_CASE("metrics in Prometheus' text format") {
  Metrics metrics;
  metrics.counter("b_total", "Second.", "kind=\"x\"").add(2);
  metrics.counter("b_total", "Second.", "kind=\"y\"").add();
  Histogram& histogram = metrics.histogram("a_seconds", "First.", {0.1, 1});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) histogram.observe(value);
  CHECK(metrics.render() ==
        "# HELP a_seconds First.\n# TYPE a_seconds histogram\n"
        "a_seconds_bucket{le=\"0.1\"} 2\na_seconds_bucket{le=\"1\"} 3\na_seconds_bucket{le=\"+Inf\"} 4\n"
        "a_seconds_sum 7.65\na_seconds_count 4\n"
        "# HELP b_total Second.\n# TYPE b_total counter\nb_total{kind=\"x\"} 2\nb_total{kind=\"y\"} 1\n");
  std::string text;
  append_metric(text, "c", "gauge", "Third.", 1.5);
  CHECK(text == "# HELP c Third.\n# TYPE c gauge\nc 1.5\n");
}

TEST_CASE("counters and histograms lose nothing between threads") {
  Metrics metrics;
  Counter& counter = metrics.counter("n_total", "N.");
  Histogram& histogram = metrics.histogram("h", "H.", {1});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        counter.add();
        histogram.observe(0.5);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(counter.value() == 40'000);
  CHECK_THAT(metrics.render(), Catch::Contains("h_sum 20000\nh_count 40000\n"));
}
