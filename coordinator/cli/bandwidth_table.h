// The machine's own limits: read bandwidth per cache level and NUMA node, with one core and with all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/platform/topology.h"

namespace colonnade::cli {

struct BandwidthRow {
  std::string level;             // "L2", "L3", "memory"
  int node = 0;
  std::uint64_t bytes_each = 0;  // of one core's buffer
  int n_cores = 0;
  double bytes_per_second = 0;   // of all these cores; 0 when it could not be measured
};

/// Measures every level on every node, each for `seconds`. Takes seconds * (levels * 2) * nodes, and some to fill
/// the buffers. At most an eighth of a node's free memory is used.
std::vector<BandwidthRow> measure_bandwidth(const engine::Topology& topology, double seconds);

}  // namespace colonnade::cli
