#include "engine/platform/team.h"

#include <sched.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <ctime>
#include <thread>
#include <vector>

#include "engine/base/clock.h"

namespace colonnade::engine {
namespace {

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
  std::vector<int> cpus;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(static_cast<std::size_t>(i), &set)) cpus.push_back(i);
  return cpus;
}

TEST_CASE("every thread runs every task once, with more threads than cores too") {
  for (const int n : {1, 2, 3, 7}) {
    for (const int spin_us : {0, 20}) {
      auto team = ThreadTeam::make({}, n, spin_us);
      REQUIRE(team.ok());
      CHECK((*team)->size() == n);
      std::vector<int> calls(static_cast<std::size_t>(n), 0);  // plain ints: run() orders all accesses
      for (int i = 0; i < 300; ++i) {
        (*team)->run([&](int thread) { ++calls[static_cast<std::size_t>(thread)]; });
      }
      for (const int c : calls) CHECK(c == 300);
    }
  }
}

TEST_CASE("a barrier inside a task separates its phases") {
  for (const int n : {1, 2, 5}) {
    auto team = ThreadTeam::make({}, n, n > 2 ? 0 : 20);
    REQUIRE(team.ok());
    const auto size = static_cast<std::size_t>(n);
    std::vector<int> phase(size, 0);
    std::vector<int> wrong(size, 0);
    (*team)->run([&](int thread) {
      const auto me = static_cast<std::size_t>(thread);
      for (int i = 1; i <= 100; ++i) {
        phase[me] = i;
        (*team)->barrier();
        for (const int p : phase) wrong[me] += p != i;
        (*team)->barrier();
      }
    });
    for (const int w : wrong) CHECK(w == 0);
  }
}

TEST_CASE("threads run where they were pinned, and the caller gets its CPUs back") {
  const std::vector<int> before = allowed_cpus();
  {
    auto team = ThreadTeam::make(before, 0, 0);
    REQUIRE(team.ok());
    REQUIRE((*team)->size() == static_cast<int>(before.size()));
    std::vector<int> found(before.size(), -1);
    (*team)->run([&](int thread) { found[static_cast<std::size_t>(thread)] = sched_getcpu(); });
    CHECK(found == before);
  }
  CHECK(allowed_cpus() == before);
}

TEST_CASE("a CPU that does not exist is named") {
  const std::vector<int> before = allowed_cpus();
  const int cpus[] = {before[0], 1000};
  const auto team = ThreadTeam::make(cpus, 0, 0);
  REQUIRE_FALSE(team.ok());
  CHECK(team.error().message.find("thread 1 to CPU 1000") != std::string::npos);
  CHECK(allowed_cpus() == before);
  CHECK_FALSE(ThreadTeam::make({}, 0, 0).ok());
}

TEST_CASE("an idle team sleeps, and so does the caller while the others work") {
  auto team = ThreadTeam::make({}, 4, 50);
  REQUIRE(team.ok());
  (*team)->run([](int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  double cpu = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(cpu_seconds() - cpu < 0.02);
  cpu = cpu_seconds();
  (*team)->run([](int thread) {
    if (thread == 3) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  });
  CHECK(cpu_seconds() - cpu < 0.02);
}

}  // namespace
}  // namespace colonnade::engine
