// Narrowing a machine to what of it was granted. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "engine/platform/cgroup.h"
#include "engine/platform/topology.h"

namespace colonnade::engine {

/// Removes all CPUs but `cpus` from cores, nodes and caches. If that took any away, adds the line
/// "<what>: CPUs 0-3 (4 of 8)" to topology.grants.
void keep_cpus(Topology& topology, const std::vector<int>& cpus, std::string_view what);

/// CPUs, quota and memory that control groups allow.
void apply_cgroups(Topology& topology, const CgroupLimits& limits);

/// SLURM_CPUS_PER_TASK as text; "" is none. kInvalidArgument names it.
Status apply_slurm(Topology& topology, std::string_view cpus_per_task);

/// Lowers memory_limit_bytes and says so.
void limit_memory(Topology& topology, std::uint64_t bytes, std::string_view what);

}  // namespace colonnade::engine
