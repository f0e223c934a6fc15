// Ranks as threads of one process: for serving without MPI, for tests at any rank count and for ThreadSanitizer.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/base/comm.h"
#include "engine/base/shared_join.h"
#include "engine/base/wait.h"

namespace colonnade {

struct ThreadJobOptions {
  JoinOptions join;
};

/// A policy that spins only when `threads` threads have a core each, of `cores` (0: of all that this process may use).
WaitPolicy wait_policy_for(int threads, int cores = 0);

/// Makes the communicators of a job; they must not outlive it. comm(r) is used by the thread that is rank r.
class ThreadJob {
 public:
  /// The default options suit ranks of one thread each.
  explicit ThreadJob(int n_ranks);
  ThreadJob(int n_ranks, const ThreadJobOptions& options);
  ~ThreadJob();
  ThreadJob(const ThreadJob&) = delete;
  ThreadJob& operator=(const ThreadJob&) = delete;

  int size() const;
  Communicator& comm(int rank);

  /// Ends the job: from now on receiving, joining and sending fail with kUnavailable on every rank, and whoever
  /// waits is woken. Any thread.
  void end();

 private:
  struct State;
  class ThreadCommunicator;
  std::unique_ptr<State> state_;
};

}  // namespace colonnade
