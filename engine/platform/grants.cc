#include "engine/platform/grants.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "engine/platform/cpu_list.h"

namespace colonnade::engine {
namespace {

std::size_t count_cpus(const Topology& topology) {
  std::size_t n = 0;
  for (const CoreInfo& core : topology.cores) n += core.cpus.size();
  return n;
}

/// `cpus` are ascending in both.
void intersect(std::vector<int>& cpus, const std::vector<int>& kept) {
  std::erase_if(cpus, [&](int cpu) { return !std::binary_search(kept.begin(), kept.end(), cpu); });
}

std::string decimal(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", value);
  return buffer;
}

}  // namespace

std::vector<int> granted_cpus(const Topology& topology) {
  std::vector<int> cpus;
  for (const CoreInfo& core : topology.cores) cpus.insert(cpus.end(), core.cpus.begin(), core.cpus.end());
  std::sort(cpus.begin(), cpus.end());
  return cpus;
}

void keep_cpus(Topology& topology, const std::vector<int>& cpus, std::string_view what) {
  const std::size_t before = count_cpus(topology);
  std::vector<int> kept = cpus;
  std::sort(kept.begin(), kept.end());
  for (CoreInfo& core : topology.cores) intersect(core.cpus, kept);
  for (NodeInfo& node : topology.nodes) intersect(node.cpus, kept);
  for (CacheInfo& cache : topology.caches) intersect(cache.cpus, kept);
  std::erase_if(topology.cores, [](const CoreInfo& core) { return core.cpus.empty(); });
  std::erase_if(topology.caches, [](const CacheInfo& cache) { return cache.cpus.empty(); });
  const std::size_t after = count_cpus(topology);
  if (after == before) return;
  topology.grants.push_back(
      text(what, ": CPUs ", after == 0 ? "none" : format_cpu_list(granted_cpus(topology)), " (", after, " of ", before, ")"));
}

void limit_memory(Topology& topology, std::uint64_t bytes, std::string_view what) {
  if (bytes >= topology.memory_limit_bytes) return;
  topology.memory_limit_bytes = bytes;
  topology.grants.push_back(text(what, ": ", format_bytes(bytes)));
}

void apply_cgroups(Topology& topology, const CgroupLimits& limits) {
  if (!limits.cpus.empty()) keep_cpus(topology, limits.cpus, text("cpuset of cgroup ", limits.cpus_group));
  // Kept also where these CPUs stay below it: ranks bound to other CPUs draw on the same quota.
  topology.cpu_quota = limits.cpu_quota;
  if (limits.cpu_quota > 0 && limits.cpu_quota < static_cast<double>(count_cpus(topology))) {
    topology.grants.push_back(
        text("cpu quota of cgroup ", limits.cpu_group, ": ", decimal(limits.cpu_quota), " CPUs"));
  }
  if (limits.memory_bytes > 0) {
    limit_memory(topology, limits.memory_bytes, text("memory limit of cgroup ", limits.memory_group));
  }
}

Status apply_slurm(Topology& topology, std::string_view cpus_per_task) {
  if (cpus_per_task.empty()) return {};
  int value = 0;
  const char* end = cpus_per_task.data() + cpus_per_task.size();
  const auto [stop, failure] = std::from_chars(cpus_per_task.data(), end, value);
  if (failure != std::errc{} || stop != end || value < 1) {
    return Error{ErrorCode::kInvalidArgument,
                 text("SLURM_CPUS_PER_TASK: expected a number of CPUs, found '", cpus_per_task, "'")};
  }
  topology.cpus_per_rank = value;
  topology.grants.push_back(text("SLURM_CPUS_PER_TASK: ", value, value == 1 ? " CPU" : " CPUs", " for each rank"));
  return {};
}

}  // namespace colonnade::engine
