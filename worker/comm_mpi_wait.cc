#include "worker/comm_mpi_wait.h"

#include <algorithm>
#include <ctime>

#include "engine/base/clock.h"
#include "worker/comm_mpi_calls.h"

namespace colonnade::worker::mpi {
namespace {

// Inside a step nothing else is to be done, and the other host answers when its part of the block is computed.
constexpr std::int64_t kJoinYieldUs = 2000;
constexpr std::int64_t kShortestSleepUs = 20;
constexpr std::int64_t kSleepPart = 16;  // of the time waited so far
// After long silence, so few looks (at 20 µs each, kernel included) that all ranks of a host together stay below 1 % of a
// core; until then the next token comes soon.
constexpr std::int64_t kLongestSleepUs = 4000;
constexpr std::int64_t kIdleSleepUs = 10'000;
constexpr std::int64_t kIdleAfterUs = 5'000'000;

}  // namespace

BackOff::BackOff(const WaitPolicy& policy, std::int64_t yield_us)
    : policy_(policy), yield_us_(yield_us), start_us_(now_us()) {}

void BackOff::resume(std::int64_t waited_before_us) { start_us_ -= waited_before_us; }

std::int64_t BackOff::pause() {
  waited_us_ = now_us() - start_us_;
  if (waited_us_ < policy_.spin_us) {
    for (int i = 0; i < 16; ++i) spin_pause();
    return 0;
  }
  if (waited_us_ < policy_.spin_us + yield_us_) {
    yield_core();
    return 0;
  }
  if (waited_us_ > kIdleAfterUs) return kIdleSleepUs;
  return std::clamp(waited_us_ / kSleepPart, kShortestSleepUs, kLongestSleepUs);
}

Status wait_all(std::span<MPI_Request> requests, const JoinOptions& options, Traffic& traffic, const char* what) {
  BackOff back_off(options.wait, kJoinYieldUs);
  for (;;) {
    for (int call = 0; call < kCallsPerLook; ++call) {
      COLONNADE_ASSIGN(const bool done, test_all(requests));
      if (done) return {};
    }
    (void)traffic.poll();
    const std::int64_t sleep_us = back_off.pause();
    if (options.timeout_us >= 0 && back_off.waited_us() > options.timeout_us)
      return Error{ErrorCode::kTimeout, text("waited ", static_cast<double>(options.timeout_us) * 1e-6, " s for ", what)};
    if (sleep_us == 0) continue;
    const timespec length{0, static_cast<long>(sleep_us * 1000)};
    nanosleep(&length, nullptr);
  }
}

}  // namespace colonnade::worker::mpi
