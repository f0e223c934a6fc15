// The thread team of a rank: one pinned thread per granted core; the caller is thread 0.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/base/result.h"

namespace colonnade::engine {

/// Owned and driven by one thread (the rank's step thread). Between run() calls the threads spin for `spin_us`,
/// then sleep on a futex, so that an idle team uses no CPU.
class ThreadTeam final : public Parallel {
 public:
  /// Pins thread i to cpus[i] (empty: no pinning, `n_threads` threads). The caller becomes thread 0 and is pinned
  /// too. `spin_us` 0 suits more threads than cores.
  static Result<std::unique_ptr<ThreadTeam>> make(std::span<const int> cpus, int n_threads, int spin_us);
  ~ThreadTeam() override;

  int size() const override;
  void run_raw(void (*function)(void* context, int thread), void* context) override;

  void barrier() override;

 private:
  struct State;
  explicit ThreadTeam(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::engine
