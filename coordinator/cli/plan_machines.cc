#include "coordinator/cli/plan_machines.h"

#include <algorithm>
#include <utility>

#include "coordinator/cli/bandwidth_table.h"
#include "coordinator/cli/value_list.h"
#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

constexpr double kReadSeconds = 0.15;

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// "1,1,2": one for each rank.
Result<std::vector<double>> read_speeds(const std::string& list, std::size_t n_ranks) {
  COLONNADE_ASSIGN(std::vector<double> speeds, number_list("plan: --speeds", list, 1e-3, 1e3));
  if (list.empty()) speeds.assign(n_ranks, 1.0);
  if (speeds.size() != n_ranks)
    return invalid(text("plan: --speeds: expected ", n_ranks, " numbers, one for each rank, found ", speeds.size()));
  return speeds;
}

/// Ranks of one host, which hwloc knows: this one where `is_here`, which is then measured.
PlannedMachines of_topology(const engine::Topology& topology, int n_ranks, bool is_here) {
  const std::vector<engine::RankPlacement> placement = engine::place_ranks(topology, n_ranks);
  std::vector<std::vector<int>> cpus;
  std::vector<int> all;  // that compute
  for (const engine::RankPlacement& place : placement) {
    cpus.push_back(place.cpus);
    all.insert(all.end(), place.cpus.begin(), place.cpus.end());
  }
  PlannedMachines planned;
  for (const engine::RankPlacement& place : placement)
    planned.machines.push_back({.memory_bytes = place.memory_bytes, .l3_bytes = engine::l3_share_bytes(topology, place.cpus, all)});
  if (!is_here) return planned;
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  const std::uint64_t bytes_each = size_in_memory(topology, all, topology.memory_limit_bytes);
  const double rate = bytes_each == 0 ? 0.0 : engine::measure_read_bandwidth(all, bytes_each, kReadSeconds);
  if (rate > 0) planned.cluster = shard::local_cluster(cpus, rate);
  return planned;
}

Result<PlannedMachines> of_options(const Options& options) {
  const std::string described = options.text("topology");
  const bool has_memory = options.is_set("memory"), has_ranks = options.is_set("ranks");
  PlannedMachines planned;
  if (shard::describes_machines(described)) {
    COLONNADE_ASSIGN(const shard::MachineDescription machines, shard::parse_machines(described));
    const int n_ranks = has_ranks ? static_cast<int>(options.integer("ranks")) : machines.suggested_ranks();
    planned = {shard::machines_of(machines, n_ranks), shard::cluster_of(machines, n_ranks)};
  } else if (has_memory && has_ranks) {
    planned.machines.resize(static_cast<std::size_t>(options.integer("ranks")));
  } else {
    engine::TopologySources sources;
    sources.hwloc_synthetic = described;
    COLONNADE_ASSIGN(const engine::Topology topology, described.empty() ? engine::read_topology() : engine::read_topology(sources));
    planned = of_topology(topology, has_ranks ? static_cast<int>(options.integer("ranks")) : engine::suggested_ranks(topology),
                          described.empty() && !has_memory);
  }
  if (has_memory)
    for (shard::RankMachine& machine : planned.machines) machine.memory_bytes = options.bytes("memory");
  return planned;
}

}  // namespace

Result<PlannedMachines> read_planned_machines(const Options& options) {
  COLONNADE_ASSIGN(PlannedMachines planned, of_options(options));
  COLONNADE_ASSIGN(const std::vector<double> speeds, read_speeds(options.text("speeds"), planned.machines.size()));
  for (std::size_t r = 0; r < planned.machines.size(); ++r) planned.machines[r].speed *= speeds[r];
  if (planned.cluster) shard::scale_speeds(*planned.cluster, speeds);
  return planned;
}

}  // namespace colonnade::cli
