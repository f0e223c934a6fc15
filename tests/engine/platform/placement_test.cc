#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <set>

#include "engine/platform/topology.h"

namespace colonnade::engine {
namespace {

Topology synthetic(const std::string& description) {
  TopologySources sources;
  sources.hwloc_synthetic = description;
  auto topology = read_topology(sources);
  REQUIRE(topology.ok());
  return *topology;
}

std::vector<std::vector<int>> cpus_of(const std::vector<RankPlacement>& ranks) {
  std::vector<std::vector<int>> cpus;
  for (const RankPlacement& rank : ranks) cpus.push_back(rank.cpus);
  return cpus;
}

using Cpus = std::vector<std::vector<int>>;

TEST_CASE("what holds for every machine and number of ranks") {
  const char* const machines[] = {
      "core:1 pu:1",
      "core:2 pu:1",
      "numa:2(memory=8GB) l3:1 core:4 pu:1",
      "numa:2(memory=8GB) l3:3 core:2 pu:2",
      "numa:1(memory=8GB) l3:4 core:2 pu:1",
      "pack:2 numa:4(memory=8GB) l3:2 core:2 pu:2",
      "numa:3(memory=8GB) core:5 pu:1",
  };
  for (const char* machine : machines) {
    const Topology topology = synthetic(machine);
    std::map<int, const CoreInfo*> core_of;
    std::set<int> nodes;
    for (const CoreInfo& core : topology.cores) {
      core_of[core.cpus[0]] = &core;
      nodes.insert(core.node);
    }
    for (int n = 1; n <= 7; ++n) {
      INFO(machine << ", " << n << " ranks");
      const auto ranks = place_ranks(topology, n);
      REQUIRE(static_cast<int>(ranks.size()) == n);
      const bool crowded = static_cast<std::size_t>(n) > topology.cores.size();
      std::size_t used = 0;
      std::uint64_t bytes = 0;
      std::set<int> seen;
      for (const RankPlacement& rank : ranks) {
        REQUIRE_FALSE(rank.cpus.empty());
        used += rank.cpus.size();
        bytes += rank.memory_bytes;
        CHECK(rank.memory_bytes > 0);
        CHECK(rank.warning.empty() != crowded);
        std::set<int> mine;
        for (const int cpu : rank.cpus) {
          REQUIRE(core_of.contains(cpu));  // the first hyperthread of a core
          mine.insert(core_of[cpu]->node);
          seen.insert(cpu);
        }
        CHECK((rank.node == -1) == (mine.size() > 1));
        if (mine.size() == 1) CHECK(rank.node == *mine.begin());
        // Enough ranks: none spans two nodes.
        if (n >= static_cast<int>(nodes.size())) CHECK(mine.size() == 1);
      }
      CHECK(bytes <= topology.memory_limit_bytes);
      CHECK(bytes > topology.memory_limit_bytes - 100);
      if (crowded) {
        CHECK(used == static_cast<std::size_t>(n));
      } else {
        CHECK(seen.size() == used);                  // no overlap
        CHECK(used == topology.cores.size());        // nothing left over
      }
    }
  }
}

TEST_CASE("two nodes, three ranks: one node is split") {
  const auto ranks = place_ranks(synthetic("numa:2(memory=8GB) l3:1 core:4 pu:1"), 3);
  CHECK(cpus_of(ranks) == Cpus{{0, 1}, {2, 3}, {4, 5, 6, 7}});
  CHECK(ranks[0].node == 0);
  CHECK(ranks[2].node == 1);
  CHECK(ranks[2].memory_bytes == 2 * ranks[0].memory_bytes);
}

TEST_CASE("one node: ranks keep to L3 groups where they can, else they are equal") {
  const Topology topology = synthetic("numa:1(memory=8GB) l3:2 core:3 pu:2");
  CHECK(cpus_of(place_ranks(topology, 2)) == Cpus{{0, 2, 4}, {6, 8, 10}});
  CHECK(cpus_of(place_ranks(topology, 4)) == Cpus{{0}, {2, 4}, {6}, {8, 10}});
  CHECK(cpus_of(place_ranks(topology, 3)) == Cpus{{0, 2}, {4, 6}, {8, 10}});
}

TEST_CASE("CPUs numbered across the nodes still go by node") {
  // Many servers count node 0, node 1, node 0, node 1, …
  const Topology topology = synthetic("numa:2(memory=8GB) core:2 pu:1(indexes=2*2:1*2)");
  CHECK(cpus_of(place_ranks(topology, 2)) == Cpus{{0, 2}, {1, 3}});
}

TEST_CASE("more ranks than cores share cores evenly and say so") {
  const auto ranks = place_ranks(synthetic("numa:1(memory=8GB) core:2 pu:1"), 7);
  std::map<int, int> load;
  for (const RankPlacement& rank : ranks) ++load[rank.cpus[0]];
  CHECK(load[0] + load[1] == 7);
  CHECK(std::abs(load[0] - load[1]) == 1);
  CHECK(ranks[3].warning.find("7 ranks share 2 cores") != std::string::npos);
}

TEST_CASE("a cpu quota limits the threads, not below one a rank") {
  Topology topology = synthetic("numa:2(memory=8GB) core:4 pu:1");
  topology.cpu_quota = 4.5;
  CHECK(cpus_of(place_ranks(topology, 2)) == Cpus{{0, 1}, {4, 5}});
  CHECK(cpus_of(place_ranks(topology, 1)) == Cpus{{0, 1, 2, 3}});
  CHECK(cpus_of(place_ranks(topology, 4)) == Cpus{{0}, {2}, {4}, {6}});
  CHECK(suggested_ranks(topology) == 2);
  topology.cpu_quota = 0.5;
  CHECK(suggested_ranks(topology) == 1);
  CHECK(place_ranks(topology, 1)[0].cpus == std::vector<int>{0});
  const auto two = place_ranks(topology, 2);
  CHECK(cpus_of(two) == Cpus{{0}, {4}});
  CHECK(two[0].warning.find("quota of 0.5") != std::string::npos);
}

TEST_CASE("a limit for each rank counts hyperthreads") {
  Topology topology = synthetic("numa:1(memory=8GB) core:8 pu:2");
  topology.cpus_per_rank = 4;
  CHECK(cpus_of(place_ranks(topology, 2)) == Cpus{{0, 2}, {8, 10}});
  topology.cpus_per_rank = 1;  // less than a core: the core all the same
  CHECK(place_ranks(topology, 1)[0].cpus == std::vector<int>{0});
}

Topology only(const Topology& topology, const std::vector<int>& cpus) {
  Topology narrowed = topology;
  for (CoreInfo& core : narrowed.cores) {
    std::erase_if(core.cpus, [&](int cpu) { return std::find(cpus.begin(), cpus.end(), cpu) == cpus.end(); });
  }
  std::erase_if(narrowed.cores, [](const CoreInfo& core) { return core.cpus.empty(); });
  return narrowed;
}

TEST_CASE("ranks that a launcher bound: own CPUs are kept, common ones shared, nothing overlaps") {
  const Topology machine = synthetic("numa:2(memory=8GB) core:4 pu:1");
  const std::vector<Cpus> cases = {
      {{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}},  // both got everything
      {{0, 1, 2, 3}, {4, 5, 6, 7}},                          // --map-by numa --bind-to numa
      {{0, 1, 2, 3}, {0, 1, 2, 3}, {4, 5, 6, 7}},            // three ranks on two nodes
      {{0, 1, 2, 3, 4}, {3, 4, 5, 6, 7}},                    // overlap in part
      {{0}, {0}},                                            // OpenMPI's two jobs on core 0
      {{0, 1}, {1}},
  };
  const std::vector<Cpus> expected = {
      {{0, 1, 2, 3}, {4, 5, 6, 7}}, {{0, 1, 2, 3}, {4, 5, 6, 7}}, {{0, 1}, {2, 3}, {4, 5, 6, 7}},
      {{0, 1, 2, 3}, {4, 5, 6, 7}}, {{0}, {0}},                   {{0}, {1}},
  };
  for (std::size_t c = 0; c < cases.size(); ++c) {
    Cpus found;
    std::uint64_t bytes = 0;
    for (std::size_t r = 0; r < cases[c].size(); ++r) {
      const RankPlacement place = place_among(only(machine, cases[c][r]), cases[c], static_cast<int>(r));
      found.push_back(place.cpus);
      bytes += place.memory_bytes;
      CHECK(place.warning.empty() == (c != 4));
    }
    INFO("case " << c);
    CHECK(found == expected[c]);
    CHECK(bytes <= machine.memory_limit_bytes);
    CHECK(bytes > machine.memory_limit_bytes - 100);
  }
}

TEST_CASE("ranks that a launcher bound to different CPUs divide the quota that they share") {
  Topology machine = synthetic("numa:2(memory=8GB) core:4 pu:1");
  machine.cpu_quota = 4;
  const Cpus granted = {{0, 1, 2, 3}, {4, 5, 6, 7}};
  for (int r = 0; r < 2; ++r)
    CHECK(place_among(only(machine, granted[static_cast<std::size_t>(r)]), granted, r).cpus.size() == 2);
}

TEST_CASE("a rank whose CPUs all went to others says so") {
  const Topology machine = synthetic("numa:1(memory=8GB) core:2 pu:1");
  const Cpus granted = {{0, 1}, {0}, {0}};
  std::set<int> used;
  int warned = 0;
  for (int r = 0; r < 3; ++r) {
    const RankPlacement place = place_among(only(machine, granted[static_cast<std::size_t>(r)]), granted, r);
    REQUIRE(place.cpus.size() == 1);
    used.insert(place.cpus[0]);
    warned += !place.warning.empty();
  }
  CHECK(used == std::set<int>{0, 1});
  CHECK(warned == 1);
}

}  // namespace
}  // namespace colonnade::engine
