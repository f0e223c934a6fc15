// The MPI communicator: messages by non-blocking point-to-point calls, joins through shared memory inside a host and
// by their leaders between hosts. <mpi.h> is included in worker/comm_mpi* only, and not in this header.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/comm.h"

namespace colonnade::worker {

struct MpiOptions {
  std::vector<int> cpus;  // one of each core that this process may use: ranks spin only where they have a core each
  std::int64_t join_timeout_us = 120'000'000;  // a member that has not come to a join by then is gone
  int pretended_hosts = 0;  // tests: rank r is on host r % pretended_hosts; 0: where it really is
};

/// MPI from MPI_Init to MPI_Finalize, which a process can do once. All functions, and those of the communicator but
/// wake(), are for the thread that called start().
class MpiSession {
 public:
  /// Sets what OpenMPI reads from the environment unless the user did, then initialises. Collective over the job.
  static Result<std::unique_ptr<MpiSession>> start();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const;
  int size() const;

  /// The communicator of all ranks. Collective, once.
  Result<Communicator*> connect(const MpiOptions& options);

  /// Ends MPI in good order; collective: every rank must come here. Without it the destructor leaves MPI as it is,
  /// because a rank that failed cannot wait for the others.
  Status finish();

  /// Takes the whole job down.
  [[noreturn]] void abort(int exit_status);

 private:
  struct State;
  explicit MpiSession(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::worker
