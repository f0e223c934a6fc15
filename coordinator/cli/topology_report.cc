#include "coordinator/cli/topology_report.h"

#include <algorithm>
#include <set>

#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "engine/platform/cpu_list.h"

namespace colonnade::cli {
namespace {

using engine::CacheInfo;
using engine::CoreInfo;
using engine::NodeInfo;
using engine::Topology;

std::string count(std::size_t n, std::string_view thing) { return text(n, " ", thing, n == 1 ? "" : "s"); }

std::string padded(std::string word, std::size_t width) {
  word.resize(std::max(word.size(), width), ' ');
  return word;
}

/// The first hyperthreads of cores are every second CPU: "0-30:2", as taskset takes it.
std::string cpu_text(const std::vector<int>& cpus) {
  const int stride = cpus.size() < 3 ? 1 : cpus[1] - cpus[0];
  for (std::size_t i = 1; i < cpus.size(); ++i) {
    if (stride < 2 || cpus[i] - cpus[i - 1] != stride) return engine::format_cpu_list(cpus);
  }
  return stride < 2 ? engine::format_cpu_list(cpus) : text(cpus.front(), "-", cpus.back(), ":", stride);
}

std::size_t cores_on(const Topology& topology, int node) {
  return static_cast<std::size_t>(std::count_if(topology.cores.begin(), topology.cores.end(),
                                                [&](const CoreInfo& core) { return core.node == node; }));
}

/// "L1 48.0 KiB  L2 1.0 MiB  L3 32.0 MiB for 2 CPUs"; caches of one level are alike on ordinary machines.
std::string cache_line(const Topology& topology) {
  std::string line;
  for (int level = 1; level <= 3; ++level) {
    const auto found = std::find_if(topology.caches.begin(), topology.caches.end(),
                                    [&](const CacheInfo& cache) { return cache.level == level; });
    if (found == topology.caches.end()) continue;
    line += text(line.empty() ? "" : ", ", "L", level, " ", format_bytes(found->bytes));
    if (found->cpus.size() > 1) line += text(" for ", found->cpus.size(), " CPUs");
  }
  return line.empty() ? "not told" : line;
}

std::string machine_lines(const Topology& topology) {
  std::set<int> groups, packages;
  std::size_t n_cpus = 0;
  for (const CoreInfo& core : topology.cores) {
    groups.insert(core.l3_group);
    packages.insert(core.package);
    n_cpus += core.cpus.size();
  }
  std::string out = text("granted     ", count(topology.cores.size(), "core"), " (", count(n_cpus, "CPU"), ": ",
                         engine::format_cpu_list(granted_cpus(topology)), ") in ", count(packages.size(), "package"), ", ",
                         count(topology.nodes.size(), "NUMA node"), ", ", count(groups.size(), "L3 group"), "\n");
  out += text("memory      ", format_bytes(topology.memory_limit_bytes), "\n");
  out += text("caches      ", cache_line(topology), "\n");
  if (!topology.huge_pages.empty()) out += text("huge pages  transparent: ", topology.huge_pages, "\n");
  if (topology.grants.empty()) out += "limits      none\n";
  for (std::size_t i = 0; i < topology.grants.size(); ++i) {
    out += text(i == 0 ? "limits      " : "            ", topology.grants[i], "\n");
  }
  out += "\n";
  for (const NodeInfo& node : topology.nodes) {
    out += text("node ", padded(std::to_string(node.id), 4), padded(count(cores_on(topology, node.id), "core"), 11),
                padded("CPUs " + (node.cpus.empty() ? "none" : engine::format_cpu_list(node.cpus)), 20), "  ",
                format_bytes(node.memory_bytes), ", ", format_bytes(node.free_bytes), " free");
    if (node.huge_pages_free > 0) out += text(", ", node.huge_pages_free, " reserved 2 MiB pages free");
    out += "\n";
  }
  return out;
}

std::string rank_lines(const TopologyReport& report) {
  std::string out = text("\n", count(report.ranks.size(), "rank"),
                         report.ranks_suggested ? " (one for each NUMA node is the default):\n" : ":\n");
  for (std::size_t r = 0; r < report.ranks.size(); ++r) {
    const engine::RankPlacement& rank = report.ranks[r];
    out += text("rank ", padded(std::to_string(r), 4), padded(count(rank.cpus.size(), "core"), 11),
                padded("CPUs " + cpu_text(rank.cpus), 20), "  ",
                padded(rank.node < 0 ? std::string("several nodes") : text("node ", rank.node), 14),
                format_bytes(rank.memory_bytes), "\n");
  }
  if (!report.ranks.empty() && !report.ranks[0].warning.empty()) out += text("warning: ", report.ranks[0].warning, "\n");
  return out;
}

std::string bandwidth_lines(const TopologyReport& report) {
  if (report.bandwidth.empty()) return "";
  std::string out = "\nread bandwidth (plain streaming reads)\n";
  for (const BandwidthRow& row : report.bandwidth) {
    out += text("node ", padded(std::to_string(row.node), 4), padded(row.level, 8), padded(count(static_cast<std::size_t>(row.n_cores), "core"), 11),
                padded(format_bytes(row.bytes_each) + " each", 16), "  ",
                row.bytes_per_second > 0 ? format_rate(row.bytes_per_second) : std::string("could not be measured"), "\n");
  }
  return out;
}

}  // namespace

std::string topology_text(const TopologyReport& report) {
  return machine_lines(report.topology) + rank_lines(report) + bandwidth_lines(report);
}

OrderedJson topology_json(const TopologyReport& report) {
  const Topology& topology = report.topology;
  OrderedJson out;
  out["packages"] = topology.n_packages;
  out["memory_limit_bytes"] = topology.memory_limit_bytes;
  out["cpu_quota"] = topology.cpu_quota > 0 ? OrderedJson(topology.cpu_quota) : OrderedJson(nullptr);
  out["cpus_per_rank"] = topology.cpus_per_rank > 0 ? OrderedJson(topology.cpus_per_rank) : OrderedJson(nullptr);
  out["transparent_huge_pages"] = topology.huge_pages;
  out["limits"] = topology.grants;
  out["nodes"] = OrderedJson::array();
  for (const NodeInfo& node : topology.nodes) {
    out["nodes"].push_back({{"id", node.id},
                            {"cpus", node.cpus},
                            {"memory_bytes", node.memory_bytes},
                            {"free_bytes", node.free_bytes},
                            {"huge_pages_free", node.huge_pages_free}});
  }
  out["cores"] = OrderedJson::array();
  for (const CoreInfo& core : topology.cores) {
    out["cores"].push_back(
        {{"package", core.package}, {"node", core.node}, {"l3_group", core.l3_group}, {"cpus", core.cpus}});
  }
  out["caches"] = OrderedJson::array();
  for (const CacheInfo& cache : topology.caches) {
    out["caches"].push_back({{"level", cache.level}, {"bytes", cache.bytes}, {"cpus", cache.cpus}});
  }
  out["ranks"] = OrderedJson::array();
  for (const engine::RankPlacement& rank : report.ranks) {
    out["ranks"].push_back({{"cpus", rank.cpus},
                            {"node", rank.node < 0 ? OrderedJson(nullptr) : OrderedJson(rank.node)},
                            {"memory_bytes", rank.memory_bytes},
                            {"warning", rank.warning}});
  }
  if (!report.bandwidth.empty()) out["read_bandwidth"] = OrderedJson::array();
  for (const BandwidthRow& row : report.bandwidth) {
    out["read_bandwidth"].push_back({{"level", row.level},
                                     {"node", row.node},
                                     {"cores", row.n_cores},
                                     {"bytes_each", row.bytes_each},
                                     {"bytes_per_second", row.bytes_per_second}});
  }
  return out;
}

}  // namespace colonnade::cli
