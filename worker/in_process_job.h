// A worker job inside this process: its ranks are threads. For one rank (no mpirun needed) and for tests.
#pragma once

#include <memory>
#include <string>

#include "engine/base/result.h"
#include "worker/worker.h"

namespace colonnade::worker {

/// Thread-safe.
class InProcessJob {
 public:
  ~InProcessJob();  // stop()
  InProcessJob(const InProcessJob&) = delete;
  InProcessJob& operator=(const InProcessJob&) = delete;

  /// Where rank 0 listens ("unix:/…", in a private folder that is removed with the job) and the raw secret.
  const std::string& address() const;
  const std::string& secret() const;

  /// False once the ranks have returned.
  bool running() const;

  /// Ends the ranks, also in the middle of loading or of a step, and waits for them. The first error that a rank
  /// returned by itself, if any. Idempotent.
  Status stop();

 private:
  friend Result<std::unique_ptr<InProcessJob>> start_in_process_job(WorkerOptions options, int n_ranks);
  struct State;
  explicit InProcessJob(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Starts n_ranks ranks as threads. `control` and `secret` of the options are chosen here. Returns once rank 0
/// listens, or with the error that kept it from that.
Result<std::unique_ptr<InProcessJob>> start_in_process_job(WorkerOptions options, int n_ranks);

}  // namespace colonnade::worker
