// Which part of the last-level caches is a rank's own.
#include <algorithm>

#include "engine/platform/topology.h"

namespace colonnade::engine {

std::uint64_t l3_share_bytes(const Topology& topology, const std::vector<int>& cpus, const std::vector<int>& all_cpus) {
  double bytes = 0;
  for (const CacheInfo& cache : topology.caches) {
    if (cache.level != 3) continue;
    const auto users = [&](const std::vector<int>& of) {
      return std::count_if(of.begin(), of.end(), [&](int cpu) {
        return std::find(cache.cpus.begin(), cache.cpus.end(), cpu) != cache.cpus.end();
      });
    };
    const auto own = static_cast<double>(users(cpus)), all = static_cast<double>(users(all_cpus));
    if (own > 0) bytes += static_cast<double>(cache.bytes) * own / std::max(own, all);
  }
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace colonnade::engine
