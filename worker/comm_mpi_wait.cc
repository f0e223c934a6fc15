#include "worker/comm_mpi_wait.h"

#include <algorithm>
#include <ctime>

#include "engine/base/clock.h"
#include "worker/comm_mpi_calls.h"

namespace colonnade::worker::mpi {
namespace {

// Another host answers in tens of microseconds at best, so yielding comes before any sleep.
constexpr int kYields = 50;
constexpr std::int64_t kMaxSleepUs = 1000;

}  // namespace

void BackOff::pause() {
  if (policy_.spin_us > 0 && !spun_) {
    if (start_us_ == 0) start_us_ = now_us();
    for (int i = 0; i < 16; ++i) spin_pause();
    spun_ = now_us() - start_us_ > policy_.spin_us;
    return;
  }
  if (yields_ < kYields) {
    ++yields_;
    yield_core();
    return;
  }
  const timespec length{0, static_cast<long>(sleep_us_ * 1000)};
  nanosleep(&length, nullptr);
  sleep_us_ = std::min<std::int64_t>(sleep_us_ * 3 / 2, kMaxSleepUs);
}

Status wait_all(std::span<MPI_Request> requests, const JoinOptions& options, Traffic& traffic, const char* what) {
  BackOff back_off(options.wait);
  std::int64_t start = -1;  // the clock is read only by those who really wait
  for (;;) {
    COLONNADE_ASSIGN(const bool done, test_all(requests));
    if (done) return {};
    (void)traffic.poll();
    const std::int64_t now = now_us();
    if (start < 0) start = now;
    if (options.timeout_us >= 0 && now - start > options.timeout_us)
      return Error{ErrorCode::kTimeout, text("waited ", static_cast<double>(options.timeout_us) * 1e-6, " s for ", what)};
    back_off.pause();
  }
}

}  // namespace colonnade::worker::mpi
