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

/// Bytes of a buffer for each of `cpus` that stays in its cache of `level` (half of a core's share, the other half is
/// for everybody else) but not in the one below it; 0 when no size does both.
std::uint64_t size_in_cache(const engine::Topology& topology, int level, const std::vector<int>& cpus);

/// Bytes of a buffer for each of `cpus` that no cache holds a good part of; at most an eighth of `free_bytes` in all.
std::uint64_t size_in_memory(const engine::Topology& topology, const std::vector<int>& cpus, std::uint64_t free_bytes);

/// Measures every level on every node, each for `seconds`. Takes seconds * (levels * 2) * nodes, and some to fill
/// the buffers. At most an eighth of a node's free memory is used.
std::vector<BandwidthRow> measure_bandwidth(const engine::Topology& topology, double seconds);

}  // namespace colonnade::cli
