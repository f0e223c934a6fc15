// What every communicator must do, checked from inside a job: the same body runs with one rank, with ranks as
// threads and with MPI.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/comm.h"

namespace colonnade::tests {

/// Run by every rank of a job at the same time. Returns what was wrong, one line each; empty is good. `rounds` scales
/// the work.
std::vector<std::string> communicator_failures(Communicator& comm, int rounds);

/// What element i of member m's contribution in round `round` is: any bit pattern of ordinary size, so that a
/// different order of additions shows.
float contribution_value(int member, int round, std::size_t i);

/// Joins and gathers over `members` (this rank among them), sizes up to max_floats. `exact_order`: sums must be
/// x + c0 + c1 + … bit by bit (false: one host's members may be added up first).
std::vector<std::string> join_failures(Communicator& comm, const std::vector<int>& members, std::size_t max_floats,
                                       int rounds, bool exact_order);

}  // namespace colonnade::tests
