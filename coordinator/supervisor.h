// Keeps a worker job of processes running: starts it, hands its link to the generation service, watches for its end or
// for the service's word that it is stuck, ends what is left of it, and starts it again.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "coordinator/child_process.h"
#include "coordinator/generation_service.h"
#include "engine/base/result.h"

namespace colonnade::coordinator {

/// One start of a job.
struct JobStart {
  ChildCommand command;
  JobEndpoint endpoint;
  std::shared_ptr<void> keep;  // let go when the job has ended: its sockets and temporary files
};

struct SupervisorOptions {
  std::function<Result<JobStart>()> make_start;  // called for every start, on the supervisor's thread
  bool restart = true;          // once it has been ready; a job that never was is not tried again
  double stop_grace_s = 5;      // for leaving after Shutdown, and again after SIGTERM, before SIGKILL
  double first_delay_s = 0.5;   // before a restart; doubles
  double longest_delay_s = 30;
  double settled_s = 60;        // a job that lasted so long begins again with the first delay
};

/// start(), then stop(). Thread-safe.
class Supervisor {
 public:
  /// `service` outlives the supervisor.
  Supervisor(SupervisorOptions options, GenerationService& service);
  ~Supervisor();  // stop()
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  void start();

  /// The process id of the present job, -1 while there is none: for tests and people.
  int job_pid() const;

  /// Call it after GenerationService::stop(), which tells the job to leave: waits for that, then ends it. Idempotent.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::coordinator
