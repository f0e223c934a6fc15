// doctor on every host of a host file: one rank each, started by mpirun.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/host_facts.h"

namespace colonnade::cli {

struct DoctorJob {
  std::string hosts_file;
  std::string model;      // "" : none
  double timeout_s = 60;  // for all of it
};

/// Runs `mpirun --hostfile … colonnade doctor --report` and returns what its rank 0 gathered. What mpirun itself has
/// to say goes to stderr. kUnavailable when the job fails, kTimeout when it does not end; it is killed then.
Result<std::vector<HostFacts>> run_doctor_job(const DoctorJob& job);

}  // namespace colonnade::cli
