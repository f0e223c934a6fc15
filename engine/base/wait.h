// The one way to wait: look, spin a few µs, yield, then sleep on a futex until somebody rings. Doorbell and Barrier
// are plain words: zeroed memory is a valid one, also in memory that processes share.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/base/clock.h"

namespace colonnade {

/// Who can ring: threads of this process, or any process that maps the word.
enum class FutexScope { kProcess, kShared };

/// How long to look before sleeping. {0, 0} sleeps at once: right when there are more threads than cores.
struct WaitPolicy {
  int spin_us = 20;
  int yields = 4;
};

/// A hint to the core that this is a spin loop.
inline void spin_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // `yield` is a no-op on most cores; isb stalls about as long as x86 pause
#endif
}

/// Lets another thread run on this core.
void yield_core();

/// Counts rings. A waiter reads count(), looks at what it waits for, and sleeps unless the count has moved on since.
/// ring() is a release and count() an acquire operation. Thread-safe.
class Doorbell {
 public:
  std::uint32_t count() const { return rings_.load(std::memory_order_acquire); }

  /// Costs one atomic addition when nobody sleeps, and one system call otherwise.
  void ring(FutexScope scope = FutexScope::kProcess);

  /// Sleeps until the count differs from `seen`; at most `timeout_us` (negative: for ever). May return early.
  void sleep(std::uint32_t seen, std::int64_t timeout_us, FutexScope scope = FutexScope::kProcess);

  /// Waits until `ready()` is true, which must become true no later than a ring. False after `timeout_us`
  /// (negative: never).
  template <typename Ready>
  bool wait(const WaitPolicy& policy, std::int64_t timeout_us, FutexScope scope, Ready&& ready);

 private:
  std::atomic<std::uint32_t> rings_;
  // Sleepers that did not wake up by themselves; a process that dies asleep costs one needless system call a ring.
  std::atomic<std::uint32_t> sleepers_;
};
static_assert(sizeof(Doorbell) == 8 && std::atomic<std::uint32_t>::is_always_lock_free);

/// Where `n` threads or processes meet. Reusable at once; all pass the same `n`.
class Barrier {
 public:
  /// Returns true when all `n` have come, false after `timeout_us` (negative: never). After a false the barrier
  /// is broken and must not be used again.
  bool arrive_and_wait(std::uint32_t n, const WaitPolicy& policy, std::int64_t timeout_us = -1,
                       FutexScope scope = FutexScope::kProcess);

 private:
  std::atomic<std::uint32_t> arrived_;
  Doorbell released_;
};

template <typename Ready>
bool Doorbell::wait(const WaitPolicy& policy, std::int64_t timeout_us, FutexScope scope, Ready&& ready) {
  if (ready()) return true;
  std::int64_t start = 0;  // the clock is read only when there is something to measure
  if (policy.spin_us > 0) {
    start = now_us();
    const std::int64_t end = start + policy.spin_us;
    do {
      for (int i = 0; i < 32; ++i) {  // 1–4 µs between looks at the clock
        if (ready()) return true;
        spin_pause();
      }
    } while (now_us() < end);
  }
  for (int i = 0; i < policy.yields; ++i) {
    yield_core();
    if (ready()) return true;
  }
  if (timeout_us >= 0 && start == 0) start = now_us();
  for (;;) {
    const std::uint32_t seen = count();
    if (ready()) return true;
    std::int64_t left = -1;
    if (timeout_us >= 0) {
      left = start + timeout_us - now_us();
      if (left <= 0) return false;
    }
    sleep(seen, left, scope);
  }
}

}  // namespace colonnade
