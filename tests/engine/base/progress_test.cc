#include "engine/base/progress.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace colonnade;

TEST_CASE("a progress line names amount, total and percent") {
  Progress progress("packing", 4096, ProgressUnit::kBytes);
  CHECK(progress.line() == "packing  0 %  0 B of 4.0 KiB");
  progress.add(1024);
  const std::string line = progress.line();
  CHECK(line.starts_with("packing  25 %  1.0 KiB of 4.0 KiB  "));
  CHECK(line.ends_with(" left"));
  progress.add(3072);
  CHECK(progress.line().starts_with("packing  100 %  4.0 KiB of 4.0 KiB  "));
  CHECK(progress.line().find("left") == std::string::npos);
}

TEST_CASE("an unknown total shows the amount only") {
  Progress progress("reading", 0, ProgressUnit::kItems);
  CHECK(progress.line() == "reading  0");
  progress.add(3);
  CHECK(progress.line().starts_with("reading  3  "));
}

TEST_CASE("many threads may add, and finishing twice is harmless") {
  Progress progress("counting", 4000, ProgressUnit::kItems);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) progress.add(1);
    });
  for (auto& thread : threads) thread.join();
  CHECK(progress.line().starts_with("counting  100 %  4000 of 4000"));
  progress.finish();
  progress.finish();
}

TEST_CASE("shares of work are shown as percent and time only") {
  Progress progress("measuring", 1000, ProgressUnit::kShare);
  CHECK(progress.line() == "measuring  0 %");
  progress.add(250);
  CHECK(progress.line().starts_with("measuring  25 %  "));
  CHECK(progress.line().ends_with(" left"));
  CHECK(progress.line().find("250") == std::string::npos);
}

TEST_CASE("a watched progress tells what is done") {
  std::vector<double> seen;
  {
    Progress progress("pruning", 8, ProgressUnit::kItems, [&](double fraction) { seen.push_back(fraction); });
    progress.add(2);
    progress.add(6);
    progress.finish();
  }
  CHECK(seen == std::vector<double>{0.25, 1});
}
