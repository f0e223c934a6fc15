// Joins of an MPI job: memory shared by the members on one host; where members are on several hosts, the first member
// of each exchanges its host's sum with the others (comm_mpi_hosts_join.h).
#pragma once

#include <mpi.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/comm.h"
#include "engine/base/shared_join.h"

namespace colonnade::worker::mpi {

/// What making a join needs to know of the job.
struct JoinPlace {
  MPI_Comm comm = MPI_COMM_NULL;  // for messages of joins only
  int rank = 0;
  std::vector<int> host_of;       // by rank: the lowest rank of its host
  JoinOptions options;
};

/// Zeroed memory that `mates` (ranks of one host, ascending, this one among them) map; unmapped with the last copy of
/// the pointer. Collective over them. Not limited by /dev/shm, and nothing has to be cleaned up after a kill.
Result<std::shared_ptr<std::byte>> share_memory(const JoinPlace& place, std::span<const int> mates, std::size_t bytes,
                                                Traffic& traffic);

/// Collective over `members` (ranks, ascending).
Result<std::unique_ptr<Join>> make_mpi_join(const JoinPlace& place, std::span<const int> members,
                                            std::size_t max_floats, Traffic& traffic);

}  // namespace colonnade::worker::mpi
