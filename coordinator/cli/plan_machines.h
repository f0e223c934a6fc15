// The ranks that colonnade plan shares a model out to: of this machine, of another one, or of machines that are described.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/options.h"
#include "engine/base/result.h"
#include "engine/platform/topology.h"
#include "shard/cluster.h"
#include "shard/plan.h"

namespace colonnade::cli {

struct PlannedMachines {
  std::vector<shard::RankMachine> machines;
  /// How fast they are, where that is known: of described machines, or measured on this one (a fifth of a second).
  std::optional<shard::Cluster> cluster;
};

/// From --topology, --ranks, --memory and --speeds.
Result<PlannedMachines> read_planned_machines(const Options& options);

}  // namespace colonnade::cli
