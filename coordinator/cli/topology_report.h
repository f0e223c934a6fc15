// A topology, the ranks on it and its measured bandwidth, for people and as JSON.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/bandwidth_table.h"
#include "engine/base/json.h"
#include "engine/platform/topology.h"

namespace colonnade::cli {

struct TopologyReport {
  engine::Topology topology;
  std::vector<engine::RankPlacement> ranks;
  bool ranks_suggested = false;         // our choice rather than the user's
  std::vector<BandwidthRow> bandwidth;  // empty: not measured
};

std::string topology_text(const TopologyReport& report);
OrderedJson topology_json(const TopologyReport& report);

}  // namespace colonnade::cli
