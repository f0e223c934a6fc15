#include "engine/platform/topology.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>

#include "engine/platform/launcher.h"
#include "tests/engine/platform/fixture_tree.h"

namespace colonnade::engine {
namespace {

using tests::FixtureTree;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

// hwloc numbers the CPUs of a synthetic machine in order: the hyperthreads of core c are 2c and 2c + 1.
const char* const kTwoSockets = "pack:2 numa:1(memory=64GB) l3:2(size=32MB) l2:2(size=1MB) core:1 pu:2";

Topology synthetic(const std::string& description) {
  TopologySources sources;
  sources.hwloc_synthetic = description;
  auto topology = read_topology(sources);
  REQUIRE(topology.ok());
  return *topology;
}

bool mentions(const Topology& topology, const std::string& words) {
  for (const std::string& grant : topology.grants)
    if (grant.find(words) != std::string::npos) return true;
  return false;
}

TEST_CASE("a synthetic machine with sockets, L3 groups and hyperthreads") {
  const Topology topology = synthetic(kTwoSockets);
  CHECK(topology.n_packages == 2);
  REQUIRE(topology.nodes.size() == 2);
  CHECK(topology.nodes[1].cpus == std::vector<int>{8, 9, 10, 11, 12, 13, 14, 15});
  REQUIRE(topology.cores.size() == 8);
  CHECK(topology.cores[5].cpus == std::vector<int>{10, 11});
  CHECK(topology.cores[5].package == 1);
  CHECK(topology.cores[5].node == 1);
  CHECK(topology.cores[3].l3_group == 1);
  CHECK(topology.cores[4].l3_group == 2);
  std::map<int, int> levels;
  for (const CacheInfo& cache : topology.caches) ++levels[cache.level];
  CHECK(levels[2] == 8);
  CHECK(levels[3] == 4);
  CHECK(topology.memory_limit_bytes == topology.nodes[0].memory_bytes + topology.nodes[1].memory_bytes);
  CHECK(topology.grants.empty());
  CHECK(suggested_ranks(topology) == 2);
}

TEST_CASE("a description that is none is named") {
  TopologySources sources;
  sources.hwloc_synthetic = "seven dwarfs";
  const auto nonsense = read_topology(sources);
  REQUIRE_FALSE(nonsense.ok());
  CHECK(nonsense.error().message.find("seven dwarfs") != std::string::npos);
  const auto file = tests::scratch_folder() / "machine.xml";
  std::ofstream(file) << "<topology><unfinished";
  sources.hwloc_synthetic = file.string();
  CHECK_FALSE(read_topology(sources).ok());
}

TEST_CASE("cgroup limits narrow the machine") {
  FixtureTree tree;
  tree.file("/proc/self/cgroup", "0::/job")
      .file("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
      .file("/sys/fs/cgroup/job/cpu.max", "250000 100000")
      .file("/sys/fs/cgroup/job/memory.max", std::to_string(16 * kGiB))
      .file("/sys/fs/cgroup/job/cpuset.cpus.effective", "4-11");
  TopologySources sources;
  sources.hwloc_synthetic = kTwoSockets;
  sources.filesystem_root = tree.root();
  const auto topology = read_topology(sources);
  REQUIRE(topology.ok());
  CHECK(granted_cpus(*topology) == std::vector<int>{4, 5, 6, 7, 8, 9, 10, 11});
  CHECK(topology->cores.size() == 4);
  CHECK(topology->cpu_quota == 2.5);
  CHECK(topology->memory_limit_bytes == 16 * kGiB);
  CHECK(mentions(*topology, "cpuset of cgroup /sys/fs/cgroup/job: CPUs 4-11 (8 of 16)"));
  CHECK(mentions(*topology, "cpu quota of cgroup /sys/fs/cgroup/job: 2.5 CPUs"));
  CHECK(mentions(*topology, "16.0 GiB"));
  // Two whole CPUs of the quota, one on each node.
  const auto ranks = place_ranks(*topology, 2);
  CHECK(ranks[0].cpus == std::vector<int>{4});
  CHECK(ranks[1].cpus == std::vector<int>{8});
  CHECK(ranks[0].memory_bytes == 8 * kGiB);
}

TEST_CASE("affinity and SLURM_CPUS_PER_TASK are honoured") {
  TopologySources sources;
  sources.hwloc_synthetic = kTwoSockets;
  sources.affinity = {0, 1, 3, 14};
  sources.slurm_cpus_per_task = std::string("2");
  const auto topology = read_topology(sources);
  REQUIRE(topology.ok());
  REQUIRE(topology->cores.size() == 3);
  CHECK(topology->cores[1].cpus == std::vector<int>{3});
  CHECK(mentions(*topology, "CPU affinity of this process: CPUs 0-1,3,14 (4 of 16)"));
  CHECK(topology->cpus_per_rank == 2);
  CHECK(place_ranks(*topology, 1)[0].cpus == std::vector<int>{0});  // CPUs 0 and 1 are one core

  sources.affinity = {99};
  const auto nothing = read_topology(sources);
  REQUIRE_FALSE(nothing.ok());
  CHECK(nothing.error().message.find("no CPU is granted") != std::string::npos);
  sources.affinity.clear();
  for (const char* bad : {"0", "two", "2x", "-1"}) {
    sources.slurm_cpus_per_task = bad;
    const auto wrong = read_topology(sources);
    REQUIRE_FALSE(wrong.ok());
    CHECK(wrong.error().message.find("SLURM_CPUS_PER_TASK") != std::string::npos);
  }
}

TEST_CASE("a launcher's default binding is not meant, an explicit one is") {
  std::map<std::string, std::string> environment;
  const auto look = [&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  };
  CHECK(binding_is_meant(look));
  environment.emplace("OMPI_COMM_WORLD_SIZE", "2");
  CHECK_FALSE(binding_is_meant(look));
  environment.emplace("OMPI_MCA_hwloc_base_binding_policy", "core");
  CHECK(binding_is_meant(look));
}

TEST_CASE("this machine") {
  TopologySources sources;
  const auto topology = read_topology(sources);
  REQUIRE(topology.ok());
  CHECK(granted_cpus(*topology).size() >= topology->cores.size());
  const std::vector<int> allowed = own_affinity();
  for (const int cpu : granted_cpus(*topology)) {
    CHECK(std::find(allowed.begin(), allowed.end(), cpu) != allowed.end());
  }
  CHECK(topology->memory_limit_bytes > kGiB / 4);
  for (const NodeInfo& node : topology->nodes) {
    CHECK(node.free_bytes > 0);
    CHECK(node.free_bytes <= node.memory_bytes);
  }
  const auto ranks = place_ranks(*topology, 1);
  CHECK(ranks[0].cpus.size() <= topology->cores.size());
}

TEST_CASE("reading from cache is measured and plausible") {
  const auto topology = read_topology(TopologySources{});
  REQUIRE(topology.ok());
  const double rate = measure_read_bandwidth({topology->cores[0].cpus[0]}, 256 << 10, 0.05);
  CHECK(rate > 1e7);  // also under a sanitizer on a busy machine
  CHECK(rate < 2e12);
  CHECK(measure_read_bandwidth({100000}, 1 << 20, 0.01) == 0);
}

}  // namespace

TEST_CASE("An L3 is shared by those that compute on it") {
  TopologySources sources;
  sources.hwloc_synthetic = kTwoSockets;  // two L3 of 32 MB a socket, each with two cores
  const auto topology = read_topology(sources);
  REQUIRE(topology.ok());
  std::vector<int> all;
  for (const CoreInfo& core : topology->cores) all.push_back(core.cpus[0]);
  REQUIRE(all.size() == 8);
  const std::uint64_t l3 = 32'000'000;  // hwloc counts in decimal units
  CHECK(l3_share_bytes(*topology, all, all) == 4 * l3);
  CHECK(l3_share_bytes(*topology, {all[0], all[1]}, all) == l3);
  CHECK(l3_share_bytes(*topology, {all[0]}, all) == l3 / 2);
  CHECK(l3_share_bytes(*topology, {all[0]}, {all[0]}) == l3);  // nobody else computes
  CHECK(l3_share_bytes(*topology, {all[1], all[2]}, all) == l3);
  CHECK(l3_share_bytes(*topology, {all[7]}, {all[0], all[7]}) == l3);
  CHECK(l3_share_bytes(Topology{}, {0}, {0}) == 0);
}

}  // namespace colonnade::engine
