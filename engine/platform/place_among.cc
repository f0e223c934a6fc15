// Shares of ranks to which a launcher gave CPUs that are not the same for all. Pure, and the same on every rank.
#include <algorithm>
#include <map>

#include "engine/base/check.h"
#include "engine/base/format_text.h"
#include "engine/platform/topology.h"

namespace colonnade::engine {
namespace {

using Claims = std::map<int, std::vector<std::size_t>>;  // CPU -> ranks that were given it

/// CPUs that rank `me` keeps: those with one claimant are its own, contested ones go one by one to the claimant
/// with the fewest so far.
std::vector<int> settle(const Claims& claims, std::size_t n_ranks, std::size_t me) {
  std::vector<std::size_t> held(n_ranks, 0);
  std::vector<int> kept;
  for (const bool contested : {false, true}) {
    for (const auto& [cpu, ranks] : claims) {
      if ((ranks.size() > 1) != contested) continue;
      const std::size_t winner =
          *std::min_element(ranks.begin(), ranks.end(), [&](std::size_t a, std::size_t b) { return held[a] < held[b]; });
      ++held[winner];
      if (winner == me) kept.push_back(cpu);
    }
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

}  // namespace

RankPlacement place_among(const Topology& topology, const std::vector<std::vector<int>>& granted, int index) {
  COLONNADE_CHECK(index >= 0 && static_cast<std::size_t>(index) < granted.size(), "index of a rank of this host");
  const auto me = static_cast<std::size_t>(index);
  Claims claims;
  int equals = 0, my_turn = 0;  // ranks with the same CPUs, and those of them before this one
  for (std::size_t r = 0; r < granted.size(); ++r) {
    if (granted[r] == granted[me]) my_turn += r < me, ++equals;
    for (const int cpu : granted[r]) claims[cpu].push_back(r);
  }
  const auto memory_of = [&](double cpus) {
    return static_cast<std::uint64_t>(static_cast<double>(topology.memory_limit_bytes) * cpus /
                                      static_cast<double>(std::max<std::size_t>(claims.size(), 1)));
  };
  const bool partly_shared = std::any_of(granted[me].begin(), granted[me].end(), [&](int cpu) {
    return claims[cpu].size() != static_cast<std::size_t>(equals);
  });
  // The quota is that of all ranks of this host; those with these CPUs get the share of their CPUs.
  Topology mine = topology;
  mine.cpu_quota *= static_cast<double>(granted[me].size()) / static_cast<double>(std::max<std::size_t>(claims.size(), 1));
  if (!partly_shared) {
    RankPlacement place = place_ranks(mine, equals)[static_cast<std::size_t>(my_turn)];
    // place_ranks knows nothing of the CPUs that others were given.
    place.memory_bytes = static_cast<std::uint64_t>(static_cast<double>(place.memory_bytes) *
                                                    static_cast<double>(granted[me].size()) /
                                                    static_cast<double>(std::max<std::size_t>(claims.size(), 1)));
    return place;
  }
  const std::vector<int> kept = settle(claims, granted.size(), me);
  for (CoreInfo& core : mine.cores) {
    std::erase_if(core.cpus, [&](int cpu) { return !std::binary_search(kept.begin(), kept.end(), cpu); });
  }
  std::erase_if(mine.cores, [](const CoreInfo& core) { return core.cpus.empty(); });
  if (!mine.cores.empty()) {
    RankPlacement place = place_ranks(mine, 1)[0];
    place.memory_bytes = memory_of(static_cast<double>(kept.size()));
    return place;
  }
  RankPlacement place = place_ranks(topology, 1)[0];
  place.cpus.resize(1);
  place.warning = text("the launcher bound ", granted.size(), " ranks to overlapping CPUs: one of them shares CPU ",
                       place.cpus[0], " with another");
  place.memory_bytes = memory_of(1);
  return place;
}

}  // namespace colonnade::engine
