#include "engine/base/wait.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace colonnade {
namespace {

int operation(int base, FutexScope scope) { return scope == FutexScope::kProcess ? base | FUTEX_PRIVATE_FLAG : base; }

}  // namespace

void yield_core() { sched_yield(); }

// A ring adds to rings_ and then reads sleepers_; a sleeper adds to sleepers_ and then the kernel compares rings_.
// Both are sequentially consistent, so at least one of the two sees the other and no ring is lost.
void Doorbell::ring(FutexScope scope) {
  rings_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&rings_), operation(FUTEX_WAKE, scope), INT_MAX, nullptr, nullptr, 0);
}

void Doorbell::sleep(std::uint32_t seen, std::int64_t timeout_us, FutexScope scope) {
  timespec limit{};
  if (timeout_us >= 0) {
    limit.tv_sec = static_cast<std::time_t>(timeout_us / 1000000);
    limit.tv_nsec = static_cast<long>(timeout_us % 1000000) * 1000;
  }
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&rings_), operation(FUTEX_WAIT, scope), seen,
          timeout_us >= 0 ? &limit : nullptr, nullptr, 0);
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

bool Barrier::arrive_and_wait(std::uint32_t n, const WaitPolicy& policy, std::int64_t timeout_us, FutexScope scope) {
  const std::uint32_t seen = released_.count();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n) {
    arrived_.store(0, std::memory_order_relaxed);  // before the ring: nobody can arrive again until it
    released_.ring(scope);
    return true;
  }
  return released_.wait(policy, timeout_us, scope, [&] { return released_.count() != seen; });
}

}  // namespace colonnade
