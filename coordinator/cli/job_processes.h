// The command lines of worker processes: one rank as it is, several under mpirun.
#pragma once

#include "coordinator/cli/launch_setup.h"
#include "coordinator/supervisor.h"
#include "engine/base/result.h"

namespace colonnade::cli {

/// One start of the job: a fresh secret, a fresh socket (or port, when rank 0 is on another host) and folders of its own
/// for what mpirun leaves behind when it is killed.
Result<coordinator::JobStart> make_job_start(const LaunchSetup& setup);

}  // namespace colonnade::cli
