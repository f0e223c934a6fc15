// Waiting for what no futex can tell of: spin, yield, then sleep longer and longer, up to about a millisecond.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <span>

#include "engine/base/shared_join.h"
#include "engine/base/wait.h"

namespace colonnade::worker::mpi {

class BackOff {
 public:
  explicit BackOff(const WaitPolicy& policy) : policy_(policy) {}
  /// Call between two looks.
  void pause();

 private:
  WaitPolicy policy_;
  std::int64_t start_us_ = 0;
  bool spun_ = false;
  int yields_ = 0;
  std::int64_t sleep_us_ = 20;
};

/// Until all requests are done. `what` completes the message "rank … waited … s for".
Status wait_all(std::span<MPI_Request> requests, const JoinOptions& options, Traffic& traffic, const char* what);

}  // namespace colonnade::worker::mpi
