// What a rank does once its weights are there: rank 0 takes steps from the control link, hands them to all ranks and
// returns results; the others follow. Allocates nothing in a steady state.
#pragma once

#include "engine/base/comm.h"
#include "engine/model/executor.h"
#include "worker/control_server.h"
#include "worker/heartbeat.h"

namespace colonnade::worker {

struct StepLoop {
  Communicator& comm;
  engine::RankExecutor& executor;
  Heartbeat& heartbeat;
  int head_leader = 0;           // the rank whose executor gives results
  double step_timeout_s = 120;   // for a peer that has steps to run
  double grace_s = 60;           // without a coordinator
};

/// Rank 0. Returns after Shutdown when all results are sent and all ranks are told to leave. A step that does not fit
/// is refused and changes nothing. With several stages, later steps start before results of earlier ones are back.
Status lead_steps(StepLoop& loop, ControlServer& server);

/// Any other rank. Returns when rank 0 says so.
Status follow_steps(StepLoop& loop);

}  // namespace colonnade::worker
