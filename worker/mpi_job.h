// This process as one rank of an MPI job that a launcher (mpirun, srun) has started.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "worker/worker.h"

namespace colonnade::worker {

struct LaunchedRank {
  int rank = 0;
  int size = 1;
};

/// What the launcher said through the environment, before any MPI call; nothing when no launcher started this process.
std::optional<LaunchedRank> launched_rank();

/// Runs this process as a rank and returns when the job ends; calls MPI from the calling thread only. A rank that
/// fails prints its line and takes the whole job with it: does not return then, the exit status is 1.
/// Works without a launcher too (one rank, no MPI_Init).
Status run_mpi_worker(const WorkerOptions& options);

/// Rank 0 of plain `mpirun … colonnade serve`: the rank runs on a thread of its own (which is the one that calls MPI)
/// while the caller goes on as the coordinator. The other ranks call run_mpi_worker().
class MpiRankThread {
 public:
  /// `options.control` and `options.secret` are chosen here.
  static Result<std::unique_ptr<MpiRankThread>> start(WorkerOptions options);
  ~MpiRankThread();  // join()
  MpiRankThread(const MpiRankThread&) = delete;
  MpiRankThread& operator=(const MpiRankThread&) = delete;

  const std::string& address() const;
  const std::string& secret() const;
  bool running() const;

  /// Waits until the job has ended; the coordinator must have sent Shutdown (or be gone for longer than the grace).
  Status join();

 private:
  struct State;
  explicit MpiRankThread(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::worker
