#include "engine/platform/topology.h"

#include <hwloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <type_traits>

#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "engine/platform/cgroup.h"
#include "engine/platform/grants.h"
#include "engine/platform/launcher.h"

namespace colonnade::engine {
namespace {

struct Destroy {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Machine = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, Destroy>;

std::vector<int> cpus_of(hwloc_const_bitmap_t set) {
  std::vector<int> cpus;
  for (int cpu = hwloc_bitmap_first(set); cpu >= 0; cpu = hwloc_bitmap_next(set, cpu)) cpus.push_back(cpu);
  return cpus;
}

/// Of a synthetic description: hwloc takes half a second for so many, and the square of that for more.
constexpr std::uint64_t kMostUnits = 16384;

/// What a synthetic description multiplies out to, hwloc's own syntax aside: "pack:2 [numa(memory=4G)] core:4 pu:2" is 16. Nothing where
/// it has a number that is none of any machine.
std::optional<std::uint64_t> units_of(std::string_view description) {
  constexpr std::size_t kMostDigits = 18;
  std::uint64_t units = 1;
  int attributes = 0;  // depth of brackets, whose numbers count nothing
  for (std::size_t at = 0; at < description.size();) {
    const char c = description[at];
    attributes += (c == '(' || c == '[') - (c == ')' || c == ']');
    std::size_t end = at;
    while (end < description.size() && description[end] >= '0' && description[end] <= '9') ++end;
    if (end - at > kMostDigits) return std::nullopt;
    const bool counts = end > at && attributes == 0 && (at == 0 || description[at - 1] == ':' || description[at - 1] == ' ');
    if (counts) units = std::min(units * std::min<std::uint64_t>(std::stoull(std::string(description.substr(at, end - at))), kMostUnits + 1), kMostUnits + 1);
    at = std::max(end, at + 1);
  }
  return units;
}

Result<Machine> load_machine(const std::string& description) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return Error{ErrorCode::kExhausted, "cannot start hwloc: out of memory"};
  Machine machine(raw);
  if (!description.empty()) {
    const bool is_file = std::filesystem::exists(description);
    const std::optional<std::uint64_t> units = is_file ? 1 : units_of(description);
    if (units && *units > kMostUnits)
      return Error{ErrorCode::kInvalidArgument, text("topology '", description, "': expected at most ", kMostUnits, " processing units, found more")};
    const int failure = is_file  ? hwloc_topology_set_xml(raw, description.c_str())
                        : units ? hwloc_topology_set_synthetic(raw, description.c_str())
                                : -1;
    if (failure != 0) {
      return Error{ErrorCode::kInvalidArgument,
                   text("topology '", description, "': expected ",
                        is_file ? "an hwloc XML file (lstopo --of xml)"
                                : "a description such as 'numa:2 l3:2 core:4 pu:2', or the path of an hwloc XML file")};
    }
  }
  // Also what a cpuset takes away, so that it can be said.
  hwloc_topology_set_flags(raw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  if (hwloc_topology_load(raw) != 0) {
    return Error{ErrorCode::kInvalidArgument,
                 text("hwloc cannot read ", description.empty() ? "this machine" : "topology '" + description + "'")};
  }
  return machine;
}

std::vector<NodeInfo> nodes_of(hwloc_topology_t machine) {
  std::vector<NodeInfo> nodes;
  hwloc_const_nodeset_t allowed = hwloc_topology_get_allowed_nodeset(machine);
  for (hwloc_obj_t node = nullptr; (node = hwloc_get_next_obj_by_type(machine, HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
    if (!hwloc_bitmap_isset(allowed, node->os_index)) continue;
    NodeInfo info;
    info.id = static_cast<int>(node->os_index);
    info.memory_bytes = info.free_bytes = node->attr->numanode.local_memory;
    info.cpus = cpus_of(node->cpuset);
    nodes.push_back(std::move(info));
  }
  std::sort(nodes.begin(), nodes.end(), [](const NodeInfo& a, const NodeInfo& b) { return a.id < b.id; });
  return nodes;
}

std::vector<CoreInfo> cores_of(hwloc_topology_t machine, const std::vector<NodeInfo>& nodes) {
  // Some virtual machines show no cores; then every processing unit is one.
  const bool has_cores = hwloc_get_nbobjs_by_type(machine, HWLOC_OBJ_CORE) > 0;
  const hwloc_obj_type_t type = has_cores ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  std::vector<CoreInfo> cores;
  for (hwloc_obj_t object = nullptr; (object = hwloc_get_next_obj_by_type(machine, type, object)) != nullptr;) {
    CoreInfo core;
    core.cpus = cpus_of(object->cpuset);
    if (core.cpus.empty()) continue;
    const hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(machine, HWLOC_OBJ_PACKAGE, object);
    core.package = package == nullptr ? 0 : static_cast<int>(package->logical_index);
    // The lowest of several nodes (DRAM comes before high-bandwidth or far memory).
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
      if (std::binary_search(node->cpus.begin(), node->cpus.end(), core.cpus[0])) core.node = node->id;
    }
    // Without an L3 the node is the group of cores that are near one another.
    const hwloc_obj_t l3 = hwloc_get_ancestor_obj_by_type(machine, HWLOC_OBJ_L3CACHE, object);
    core.l3_group = l3 == nullptr ? core.node : static_cast<int>(l3->logical_index);
    cores.push_back(std::move(core));
  }
  return cores;
}

std::vector<CacheInfo> caches_of(hwloc_topology_t machine) {
  std::vector<CacheInfo> caches;
  int level = 0;
  for (const hwloc_obj_type_t type : {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE}) {
    ++level;
    for (hwloc_obj_t object = nullptr; (object = hwloc_get_next_obj_by_type(machine, type, object)) != nullptr;) {
      caches.push_back({level, object->attr->cache.size, cpus_of(object->cpuset)});
    }
  }
  return caches;
}

/// The values of "Node 0 MemFree:  123 kB" or "MemAvailable:  123 kB" lines, added up over `names`.
std::uint64_t sum_of_fields(const std::string& path, const std::set<std::string>& names) {
  std::ifstream file(path);
  std::uint64_t kib = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "Node") words >> name >> name;
    std::uint64_t value = 0;
    if (names.contains(name) && words >> value) kib += value;
  }
  return kib * 1024;
}

void read_memory(Topology& topology, const std::string& root) {
  for (NodeInfo& node : topology.nodes) {
    const std::string folder = text(root, "/sys/devices/system/node/node", node.id);
    // The page cache gives way to whoever needs the memory.
    node.free_bytes = sum_of_fields(folder + "/meminfo", {"MemFree:", "Active(file):", "Inactive(file):"});
    if (node.free_bytes == 0) node.free_bytes = sum_of_fields(root + "/proc/meminfo", {"MemAvailable:"});
    for (const std::string& place : {folder + "/hugepages", root + "/sys/kernel/mm/hugepages"}) {
      std::ifstream file(place + "/hugepages-2048kB/free_hugepages");
      if (file >> node.huge_pages_free) break;
    }
  }
  if (topology.nodes.size() == 1) {
    // A node's own counters miss memory that a hypervisor hands out only when it is touched.
    NodeInfo& node = topology.nodes[0];
    const std::uint64_t total = sum_of_fields(root + "/proc/meminfo", {"MemTotal:"});
    if (total > 0) node.memory_bytes = total;
    const std::uint64_t available = sum_of_fields(root + "/proc/meminfo", {"MemAvailable:"});
    if (available > 0) node.free_bytes = available;
  }
  std::ifstream file(root + "/sys/kernel/mm/transparent_hugepage/enabled");  // "always [madvise] never"
  std::string line;
  std::getline(file, line);
  const std::size_t open = line.find('[');
  const std::size_t close = line.find(']');
  if (open != std::string::npos && close != std::string::npos) topology.huge_pages = line.substr(open + 1, close - open - 1);
}

void apply_affinity(Topology& topology, const TopologySources& sources, bool real) {
  if (!sources.affinity.empty()) return keep_cpus(topology, sources.affinity, "CPU affinity of this process");
  if (!real) return;
  if (sources.honour_binding) return keep_cpus(topology, own_affinity(), "CPU affinity of this process");
  const std::vector<int> launcher = launcher_affinity();
  if (!launcher.empty()) keep_cpus(topology, launcher, "CPU affinity of the MPI launcher");
}

void apply_address_space_limit(Topology& topology) {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    limit_memory(topology, limit.rlim_cur, "address space limit (ulimit -v)");
  }
}

}  // namespace

Result<Topology> read_topology() {
  TopologySources sources;
  const char* slurm = std::getenv("SLURM_CPUS_PER_TASK");
  if (slurm != nullptr) sources.slurm_cpus_per_task = slurm;
  sources.honour_binding = binding_is_meant([](const char* name) -> const char* { return std::getenv(name); });
  return read_topology(sources);
}

Result<Topology> read_topology(const TopologySources& sources) {
  const bool real = sources.hwloc_synthetic.empty();
  COLONNADE_ASSIGN(Machine machine, load_machine(sources.hwloc_synthetic));
  Topology topology;
  topology.n_packages = std::max(1, hwloc_get_nbobjs_by_type(machine.get(), HWLOC_OBJ_PACKAGE));
  topology.nodes = nodes_of(machine.get());
  topology.cores = cores_of(machine.get(), topology.nodes);
  topology.caches = caches_of(machine.get());
  if (real) read_memory(topology, sources.filesystem_root);
  for (const NodeInfo& node : topology.nodes) topology.memory_limit_bytes += node.memory_bytes;

  keep_cpus(topology, cpus_of(hwloc_topology_get_allowed_cpuset(machine.get())), "cpuset");
  apply_affinity(topology, sources, real);
  if (real || !sources.filesystem_root.empty()) apply_cgroups(topology, read_cgroup_limits(sources.filesystem_root));
  if (real) apply_address_space_limit(topology);
  COLONNADE_TRY(apply_slurm(topology, sources.slurm_cpus_per_task));
  if (topology.cores.empty()) {
    std::string why;
    for (const std::string& grant : topology.grants) why += (why.empty() ? "" : "; ") + grant;
    return Error{ErrorCode::kUnavailable, text("no CPU is granted to this process: ", why)};
  }
  return topology;
}

}  // namespace colonnade::engine
