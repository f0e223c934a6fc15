// How the ranks of one host share what was granted. Pure functions of the topology.
#include <algorithm>
#include <map>
#include <tuple>

#include "engine/base/check.h"
#include "engine/base/format_text.h"
#include "engine/platform/topology.h"

namespace colonnade::engine {
namespace {

bool before(const CoreInfo& a, const CoreInfo& b) {
  return std::tie(a.node, a.l3_group, a.cpus[0]) < std::tie(b.node, b.l3_group, b.cpus[0]);
}

/// Granted cores, those of a node together, within it those of an L3 group together.
std::vector<const CoreInfo*> cores_in_order(const Topology& topology) {
  std::vector<const CoreInfo*> cores;
  for (const CoreInfo& core : topology.cores) cores.push_back(&core);
  std::sort(cores.begin(), cores.end(), [](const CoreInfo* a, const CoreInfo* b) { return before(*a, *b); });
  return cores;
}

/// A busy thread on every granted core would be stopped again and again under a smaller quota, and all would wait
/// for the stopped one: use whole CPUs of the quota only.
std::size_t usable_cores(const Topology& topology) {
  const std::size_t n = topology.cores.size();
  if (topology.cpu_quota <= 0) return n;
  return std::clamp(static_cast<std::size_t>(topology.cpu_quota + 0.01), std::size_t{1}, n);
}

/// The cores that a rank may use of those it has: cpus_per_rank counts hyperthreads, as Slurm does.
std::size_t limit_to_task(const std::vector<const CoreInfo*>& cores, std::size_t n, int cpus_per_rank) {
  if (cpus_per_rank <= 0) return n;
  std::size_t threads = 0;
  for (std::size_t i = 0; i < n; ++i) {
    threads += cores[i]->cpus.size();
    if (threads > static_cast<std::size_t>(cpus_per_rank)) return std::max<std::size_t>(i, 1);
  }
  return n;
}

int node_of(const std::vector<const CoreInfo*>& cores) {
  for (const CoreInfo* core : cores)
    if (core->node != cores[0]->node) return -1;
  return cores[0]->node;
}

/// How many of `total` go to each part: one each where that is possible, every further one to the part that then
/// has most per piece (which makes the smallest piece as large as can be), never more than the part's capacity.
std::vector<std::size_t> share_out(std::size_t total, const std::vector<std::size_t>& capacity) {
  std::vector<std::size_t> share(capacity.size(), 0);
  for (std::size_t given = 0; given < total; ++given) {
    std::size_t best = capacity.size();
    for (std::size_t i = 0; i < capacity.size(); ++i) {
      if (share[i] >= capacity[i]) continue;
      if (best == capacity.size()) {
        best = i;
      } else if ((share[i] == 0) != (share[best] == 0)) {
        if (share[i] == 0) best = i;
      } else if (capacity[i] * (share[best] + 1) > capacity[best] * (share[i] + 1)) {
        best = i;
      }
    }
    if (best == capacity.size()) break;
    ++share[best];
  }
  return share;
}

/// Groups of equal `key`, in order.
template <typename Key>
std::vector<std::vector<const CoreInfo*>> group_by(const std::vector<const CoreInfo*>& cores, Key key) {
  std::vector<std::vector<const CoreInfo*>> groups;
  for (const CoreInfo* core : cores) {
    if (groups.empty() || key(*groups.back()[0]) != key(*core)) groups.emplace_back();
    groups.back().push_back(core);
  }
  return groups;
}

/// Cuts ordered cores into n_ranks runs whose lengths differ by at most one, n_ranks <= cores.
void cut_evenly(const std::vector<const CoreInfo*>& cores, std::size_t n_ranks,
                std::vector<std::vector<const CoreInfo*>>& out) {
  for (std::size_t r = 0; r < n_ranks; ++r) {
    out.emplace_back(cores.begin() + static_cast<std::ptrdiff_t>(cores.size() * r / n_ranks),
                     cores.begin() + static_cast<std::ptrdiff_t>(cores.size() * (r + 1) / n_ranks));
  }
}

/// Cores of the ranks within one node: by whole L3 groups where the ranks can be spread evenly over them.
void divide_node(const std::vector<const CoreInfo*>& cores, std::size_t n_ranks,
                 std::vector<std::vector<const CoreInfo*>>& out) {
  const auto groups = group_by(cores, [](const CoreInfo& core) { return core.l3_group; });
  if (n_ranks % groups.size() != 0) return cut_evenly(cores, n_ranks, out);
  for (const auto& group : groups) {
    if (group.size() < n_ranks / groups.size()) return cut_evenly(cores, n_ranks, out);
  }
  for (const auto& group : groups) cut_evenly(group, n_ranks / groups.size(), out);
}

/// Cores of every rank, n_ranks <= cores. No rank spans two nodes unless the ranks are fewer than the nodes.
std::vector<std::vector<const CoreInfo*>> divide(const std::vector<const CoreInfo*>& cores, std::size_t n_ranks) {
  std::vector<std::vector<const CoreInfo*>> out;
  const auto nodes = group_by(cores, [](const CoreInfo& core) { return core.node; });
  if (n_ranks < nodes.size()) {
    cut_evenly(cores, n_ranks, out);
    return out;
  }
  std::vector<std::size_t> capacity;
  for (const auto& node : nodes) capacity.push_back(node.size());
  const std::vector<std::size_t> ranks = share_out(n_ranks, capacity);
  for (std::size_t i = 0; i < nodes.size(); ++i) divide_node(nodes[i], ranks[i], out);
  return out;
}

/// Memory follows the cores: a rank's part of each of its nodes, scaled to what is granted in all.
void share_memory(const Topology& topology, const std::vector<std::vector<const CoreInfo*>>& cores,
                  std::vector<RankPlacement>& ranks) {
  std::map<int, double> users;  // ranks × cores of a node in use
  for (const auto& mine : cores)
    for (const CoreInfo* core : mine) users[core->node] += 1;
  std::map<int, double> node_bytes;
  for (const NodeInfo& node : topology.nodes) node_bytes[node.id] = static_cast<double>(node.memory_bytes);
  std::vector<double> want(ranks.size(), 0);
  double total = 0;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    for (const CoreInfo* core : cores[r]) want[r] += std::max(node_bytes[core->node], 1.0) / users[core->node];
    total += want[r];
  }
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    ranks[r].memory_bytes = static_cast<std::uint64_t>(static_cast<double>(topology.memory_limit_bytes) * (want[r] / total));
  }
}

}  // namespace

std::vector<RankPlacement> place_ranks(const Topology& topology, int n_ranks) {
  COLONNADE_CHECK(n_ranks > 0 && !topology.cores.empty(), "ranks and cores");
  const auto n = static_cast<std::size_t>(n_ranks);
  std::vector<const CoreInfo*> cores = cores_in_order(topology);
  const std::size_t usable = usable_cores(topology);
  std::string warning;
  std::vector<std::vector<const CoreInfo*>> shares;
  if (n > cores.size()) {
    warning = text(n, " ranks share ", cores.size(), cores.size() == 1 ? " core" : " cores",
                   ": they take turns and run slower than ", cores.size(), cores.size() == 1 ? " rank" : " ranks", " would");
    for (std::size_t r = 0; r < n; ++r) shares.push_back({cores[r * cores.size() / n]});
  } else {
    shares = divide(cores, n);
    if (n > usable) warning = text(n, " ranks with a cpu quota of ", topology.cpu_quota, " CPUs: they will be slowed down");
    std::vector<std::size_t> sizes;
    for (const auto& share : shares) sizes.push_back(share.size());
    const std::vector<std::size_t> quota = share_out(std::max(usable, n), sizes);
    for (std::size_t r = 0; r < n; ++r) {
      const std::size_t most = std::clamp(quota[r], std::size_t{1}, shares[r].size());
      shares[r].resize(limit_to_task(shares[r], most, topology.cpus_per_rank));
    }
  }
  std::vector<RankPlacement> ranks(n);
  for (std::size_t r = 0; r < n; ++r) {
    for (const CoreInfo* core : shares[r]) ranks[r].cpus.push_back(core->cpus[0]);
    ranks[r].node = node_of(shares[r]);
    ranks[r].warning = warning;
  }
  share_memory(topology, shares, ranks);
  return ranks;
}

int suggested_ranks(const Topology& topology) {
  std::map<int, int> nodes;
  for (const CoreInfo& core : topology.cores) ++nodes[core.node];
  return static_cast<int>(std::max<std::size_t>(1, std::min(nodes.size(), usable_cores(topology))));
}

}  // namespace colonnade::engine
