// What machine this is and what of it was granted: packages, NUMA nodes, L3 groups, cores, caches, memory; and how
// ranks of one host share it. topology.cc is the only user of hwloc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::engine {

struct CacheInfo {
  int level = 0;
  std::uint64_t bytes = 0;       // of one cache
  std::vector<int> cpus;         // logical CPUs that share it
};

struct CoreInfo {
  int package = 0;
  int node = 0;                  // NUMA node (operating system index)
  int l3_group = 0;              // index of its L3 cache
  std::vector<int> cpus;         // hyperthreads, operating system indices; [0] is used for computing
};

struct NodeInfo {
  int id = 0;                    // operating system index
  std::uint64_t memory_bytes = 0;
  std::uint64_t free_bytes = 0;
  std::uint64_t huge_pages_free = 0;  // 2 MiB pages reserved and free
  std::vector<int> cpus;
};

struct Topology {
  int n_packages = 0;
  std::vector<NodeInfo> nodes;
  std::vector<CoreInfo> cores;         // granted ones only
  std::vector<CacheInfo> caches;       // L1 data, L2, L3
  double cpu_quota = 0;                // CPUs that a cgroup quota allows; 0: no quota
  int cpus_per_rank = 0;               // SLURM_CPUS_PER_TASK (hyperthreads count); 0: no limit
  std::uint64_t memory_limit_bytes = 0;  // what this process may use: min of machine and cgroup limits
  std::vector<std::string> grants;     // one line for every limit that was honoured: "cgroup cpu quota: 1.5 CPUs"
  std::string huge_pages;              // "madvise": transparent huge pages setting
};

/// Where limits are read from; tests point it at fixture trees.
struct TopologySources {
  std::string hwloc_synthetic;   // a synthetic description ("numa:2 l3:1 core:4 pu:1") or the path of an hwloc XML file; "" reads this machine
  std::string filesystem_root;   // prefix for /proc and /sys; "" is the real one
  std::string slurm_cpus_per_task;  // value of SLURM_CPUS_PER_TASK, "" when unset
  bool honour_binding = true;    // the affinity mask that a launcher set
  std::vector<int> affinity;     // in place of this process's affinity mask; empty: asked of the system (synthetic: none)
};

/// Reads this machine with the environment of this process.
Result<Topology> read_topology();
Result<Topology> read_topology(const TopologySources& sources);

/// CPUs and memory of one of several ranks on this host.
struct RankPlacement {
  std::vector<int> cpus;         // one per core, in order; never empty
  int node = -1;                 // NUMA node of these CPUs, -1 when they span several
  std::uint64_t memory_bytes = 0;  // its share of what is granted
  std::string warning;           // "" or one line, e.g. more ranks than cores
};

/// Ranks 0 … n_ranks-1 of this host share the granted cores without overlap: by node first, then by L3 group,
/// contiguous. With more ranks than cores several ranks get the same core, and `warning` says so. Pure.
std::vector<RankPlacement> place_ranks(const Topology& topology, int n_ranks);

/// The share of rank `index` where a launcher gave every rank of this host its own CPUs: granted[i] is what rank i
/// was given, `topology` what this rank sees. Ranks with the same CPUs share them as place_ranks does, a CPU that
/// only some have goes to the rank with the fewest. Pure: all ranks compute shares that never overlap.
RankPlacement place_among(const Topology& topology, const std::vector<std::vector<int>>& granted, int index);

/// All granted CPUs of a topology, ascending: what place_among exchanges.
std::vector<int> granted_cpus(const Topology& topology);

/// Ranks that suit this machine: one per NUMA node that has granted cores.
int suggested_ranks(const Topology& topology);

/// Bytes of the L3 caches of `cpus`; one that other CPUs of `all_cpus` (all that compute on this host) use as well counts by
/// their number. 0 when nothing is known of an L3. Pure.
std::uint64_t l3_share_bytes(const Topology& topology, const std::vector<int>& cpus, const std::vector<int>& all_cpus);

/// Bytes a second that `cpus` together read from a buffer of `bytes_each` bytes each (plain streaming read).
/// Takes about `seconds`. 0 when the CPUs or the memory cannot be had.
double measure_read_bandwidth(const std::vector<int>& cpus, std::uint64_t bytes_each, double seconds);

}  // namespace colonnade::engine
