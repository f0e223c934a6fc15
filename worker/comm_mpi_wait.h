// Waiting for what rings no bell, messages of other hosts: spin, yield, then sleep for a small part of the time that
// the wait has lasted already, so that sleeping never costs more than a few percent.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <span>

#include "engine/base/shared_join.h"
#include "engine/base/wait.h"

namespace colonnade::worker::mpi {

/// OpenMPI looks at its sockets in every eighth call only.
inline constexpr int kCallsPerLook = 8;

class BackOff {
 public:
  /// Yields until `yield_us` have passed, after the policy's spinning.
  BackOff(const WaitPolicy& policy, std::int64_t yield_us);

  /// Goes on as if it had waited for so long already.
  void resume(std::int64_t waited_before_us);

  /// Between two looks: spins or yields and returns 0, or returns for how many µs to sleep.
  std::int64_t pause();
  std::int64_t waited_us() const { return waited_us_; }

 private:
  WaitPolicy policy_;
  std::int64_t yield_us_;
  std::int64_t start_us_;
  std::int64_t waited_us_ = 0;
};

/// Until all requests are done. `what` completes the message "waited … s for".
Status wait_all(std::span<MPI_Request> requests, const JoinOptions& options, Traffic& traffic, const char* what);

}  // namespace colonnade::worker::mpi
