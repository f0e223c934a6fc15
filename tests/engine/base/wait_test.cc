#include "engine/base/wait.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <ctime>
#include <new>
#include <thread>
#include <vector>

namespace colonnade {
namespace {

const WaitPolicy kSleepAtOnce{0, 0};

/// CPU time of this process in seconds.
double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

TEST_CASE("a doorbell hands values over without losing a ring") {
  for (const WaitPolicy policy : {kSleepAtOnce, WaitPolicy{5, 1}}) {
    Doorbell to{}, back{};
    std::atomic<int> value{0};
    int sum = 0;
    std::thread other([&] {
      for (int i = 1; i <= 2000; ++i) {
        to.wait(policy, -1, FutexScope::kProcess, [&] { return value.load(std::memory_order_acquire) == i; });
        sum += i;
        value.store(-i, std::memory_order_release);
        back.ring();
      }
    });
    for (int i = 1; i <= 2000; ++i) {
      value.store(i, std::memory_order_release);
      to.ring();
      REQUIRE(back.wait(policy, 20'000'000, FutexScope::kProcess,
                        [&] { return value.load(std::memory_order_acquire) == -i; }));
    }
    other.join();
    CHECK(sum == 2000 * 2001 / 2);
  }
}

TEST_CASE("a wait ends at its deadline and uses no CPU meanwhile") {
  Doorbell bell{};
  const double cpu = cpu_seconds();
  const double start = now_seconds();
  CHECK_FALSE(bell.wait(WaitPolicy{20, 2}, 200'000, FutexScope::kProcess, [] { return false; }));
  CHECK(now_seconds() - start >= 0.2);
  CHECK(cpu_seconds() - cpu < 0.02);
}

TEST_CASE("sleep returns at once when a ring came between the look and the sleep") {
  Doorbell bell{};
  const std::uint32_t seen = bell.count();
  bell.ring();
  const double start = now_seconds();
  bell.sleep(seen, 5'000'000);
  CHECK(now_seconds() - start < 1);
}

TEST_CASE("a barrier in shared memory holds processes together") {
  struct Shared {
    Barrier barrier;
    std::atomic<int> arrived[50];
    std::atomic<int> wrong;
  };
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);  // zeroed: every member is valid as it is
  auto* shared = static_cast<Shared*>(memory);
  constexpr int kProcesses = 4;
  const auto walk = [&] {
    for (int round = 0; round < 50; ++round) {
      shared->arrived[round].fetch_add(1);
      if (!shared->barrier.arrive_and_wait(kProcesses, WaitPolicy{2, 1}, 20'000'000, FutexScope::kShared)) return 1;
      if (shared->arrived[round].load() != kProcesses) shared->wrong.fetch_add(1);
    }
    return 0;
  };
  std::vector<pid_t> children;
  for (int i = 1; i < kProcesses; ++i) {
    const pid_t pid = fork();
    if (pid == 0) _exit(walk());
    children.push_back(pid);
  }
  CHECK(walk() == 0);
  for (const pid_t pid : children) {
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK(status == 0);
  }
  CHECK(shared->wrong.load() == 0);
  munmap(memory, sizeof(Shared));
}

TEST_CASE("a barrier that somebody misses gives up at its deadline") {
  Barrier barrier{};
  CHECK_FALSE(barrier.arrive_and_wait(2, kSleepAtOnce, 50'000));
}

}  // namespace
}  // namespace colonnade
