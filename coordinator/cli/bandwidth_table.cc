#include "coordinator/cli/bandwidth_table.h"

#include <algorithm>

namespace colonnade::cli {
namespace {

using engine::CacheInfo;
using engine::Topology;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// The cache of `level` that `cpu` uses; nullptr when there is none.
const CacheInfo* cache_of(const Topology& topology, int level, int cpu) {
  for (const CacheInfo& cache : topology.caches) {
    if (cache.level == level && std::find(cache.cpus.begin(), cache.cpus.end(), cpu) != cache.cpus.end()) return &cache;
  }
  return nullptr;
}

/// How many of `cpus` share `cache`.
std::uint64_t sharers(const CacheInfo& cache, const std::vector<int>& cpus) {
  const auto shares = [&](int cpu) { return std::find(cache.cpus.begin(), cache.cpus.end(), cpu) != cache.cpus.end(); };
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::count_if(cpus.begin(), cpus.end(), shares)));
}

}  // namespace

std::uint64_t size_in_cache(const Topology& topology, int level, const std::vector<int>& cpus) {
  const CacheInfo* cache = cache_of(topology, level, cpus[0]);
  if (cache == nullptr) return 0;
  const std::uint64_t bytes = cache->bytes / 2 / sharers(*cache, cpus);
  const CacheInfo* below = cache_of(topology, level - 1, cpus[0]);
  return below == nullptr || bytes > below->bytes / sharers(*below, cpus) * 5 / 4 ? bytes : 0;
}

std::uint64_t size_in_memory(const Topology& topology, const std::vector<int>& cpus, std::uint64_t free_bytes) {
  const CacheInfo* last = cache_of(topology, 3, cpus[0]);
  const std::uint64_t cached = last == nullptr ? 0 : last->bytes / sharers(*last, cpus);
  const std::uint64_t wanted = std::max(8 * cached, 64 * kMiB);
  return std::min(wanted, free_bytes / 8 / cpus.size());
}

std::vector<BandwidthRow> measure_bandwidth(const Topology& topology, double seconds) {
  std::vector<BandwidthRow> rows;
  for (const engine::NodeInfo& node : topology.nodes) {
    std::vector<int> cpus;
    for (const engine::CoreInfo& core : topology.cores)
      if (core.node == node.id) cpus.push_back(core.cpus[0]);
    if (cpus.empty()) continue;
    const auto add = [&](const char* level, const std::vector<int>& on, std::uint64_t bytes) {
      if (bytes == 0) return;
      rows.push_back({level, node.id, bytes, static_cast<int>(on.size()),
                      engine::measure_read_bandwidth(on, bytes, seconds)});
    };
    const std::vector<int> first = {cpus[0]};
    const std::vector<std::vector<int>> teams =
        cpus.size() == 1 ? std::vector<std::vector<int>>{first} : std::vector<std::vector<int>>{first, cpus};
    for (const auto& team : teams) add("L1", team, size_in_cache(topology, 1, team));
    for (const auto& team : teams) add("L2", team, size_in_cache(topology, 2, team));
    for (const auto& team : teams) add("L3", team, size_in_cache(topology, 3, team));
    for (const auto& team : teams) add("memory", team, size_in_memory(topology, team, node.free_bytes));
  }
  return rows;
}

}  // namespace colonnade::cli
