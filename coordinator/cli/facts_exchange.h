// How the facts of every host come together on rank 0 of a job with one rank a host.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/cli/host_facts.h"
#include "engine/base/comm.h"

namespace colonnade::cli {

/// Collective. Rank 0 gets the facts of all ranks in order, with clocks compared and round trips measured; the others
/// get only their own. kTimeout names the rank that did not answer within `timeout_us`.
Result<std::vector<HostFacts>> exchange_facts(Communicator& comm, HostFacts mine, std::int64_t timeout_us);

}  // namespace colonnade::cli
