#include "engine/platform/cgroup.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

#include "engine/platform/cpu_list.h"

namespace colonnade::engine {
namespace {

/// "no limit" in version 1 is the largest multiple of the page size; nothing real comes near.
constexpr std::uint64_t kNoMemoryLimit = std::uint64_t{1} << 60;

struct Mount {
  std::string root;   // the group that is mounted
  std::string point;  // where
  bool unified = false;
  std::string options;  // version 1: names of the controllers
};

/// The folder of one group, and how far up it may be followed.
struct Group {
  std::string folder;
  std::string top;
};

std::optional<std::string> read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line)) return std::nullopt;
  return line;
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == word) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

/// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(const std::string& field) {
  std::string out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      out += static_cast<char>(((field[i + 1] - '0') << 6) | ((field[i + 2] - '0') << 3) | (field[i + 3] - '0'));
      i += 3;
    } else {
      out += field[i];
    }
  }
  return out;
}

/// Lines such as "36 35 0:30 / /sys/fs/cgroup/cpu rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct".
std::vector<Mount> read_mounts(const std::string& root) {
  std::vector<Mount> mounts;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line.substr(0, dash));
    std::istringstream tail(line.substr(dash + 3));
    std::string id, parent, device, type, source;
    Mount mount;
    head >> id >> parent >> device >> mount.root >> mount.point;
    tail >> type >> source >> mount.options;
    if (type != "cgroup" && type != "cgroup2") continue;
    mount.unified = type == "cgroup2";
    mount.root = unescape(mount.root);
    mount.point = unescape(mount.point);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

/// Where group `path` of /proc/self/cgroup lies below a mount. A path outside of what is mounted (a container that
/// shares the host's namespace) means the mount point itself is ours.
Group locate(const std::string& root, const Mount& mount, const std::string& path) {
  const std::string top = root + mount.point;
  const std::string prefix = mount.root == "/" ? "" : mount.root;
  if (path.rfind(prefix, 0) != 0 || path.find("/..") != std::string::npos) return {top, top};
  std::string below = path.substr(prefix.size());
  if (!below.empty() && below.front() != '/') return {top, top};
  while (!below.empty() && below.back() == '/') below.pop_back();
  return {top + below, top};
}

/// Calls visit(folder) for the group and everything above it.
template <typename Visit>
void walk_up(const Group& group, Visit&& visit) {
  std::string folder = group.folder;
  for (;;) {
    visit(folder);
    if (folder.size() <= group.top.size()) return;
    folder.resize(std::max(folder.rfind('/'), group.top.size()));
  }
}

void lower_quota(CgroupLimits& limits, double quota_us, double period_us, const std::string& folder) {
  if (quota_us <= 0 || period_us <= 0) return;
  const double cpus = quota_us / period_us;
  if (limits.cpu_quota != 0 && cpus >= limits.cpu_quota) return;
  limits.cpu_quota = cpus;
  limits.cpu_group = folder;
}

void lower_memory(CgroupLimits& limits, const std::string& file, const std::string& folder) {
  const auto line = read_line(folder + "/" + file);
  if (!line || line->empty() || *line == "max") return;
  std::istringstream in(*line);
  std::uint64_t bytes = 0;
  if (!(in >> bytes) || bytes == 0 || bytes >= kNoMemoryLimit) return;
  if (limits.memory_bytes != 0 && bytes >= limits.memory_bytes) return;
  limits.memory_bytes = bytes;
  limits.memory_group = folder;
}

void read_cpu_v1(CgroupLimits& limits, const std::string& folder) {
  const auto quota = read_line(folder + "/cpu.cfs_quota_us");
  const auto period = read_line(folder + "/cpu.cfs_period_us");
  if (!quota || !period) return;
  double quota_us = 0, period_us = 0;
  if (std::istringstream(*quota) >> quota_us && std::istringstream(*period) >> period_us) {
    lower_quota(limits, quota_us, period_us, folder);
  }
}

void read_cpu_v2(CgroupLimits& limits, const std::string& folder) {
  const auto line = read_line(folder + "/cpu.max");  // "max 100000" or "150000 100000"
  double quota_us = 0, period_us = 0;
  if (line && std::istringstream(*line) >> quota_us >> period_us) lower_quota(limits, quota_us, period_us, folder);
}

/// The effective cpuset of a group is within those above it, so the first one found counts.
void read_cpus(CgroupLimits& limits, const std::string& folder) {
  if (!limits.cpus.empty()) return;
  for (const char* name : {"cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"}) {
    const auto line = read_line(folder + "/" + name);
    if (!line || line->empty()) continue;
    auto cpus = parse_cpu_list(*line);
    if (!cpus.ok() || cpus->empty()) continue;
    limits.cpus = std::move(*cpus);
    limits.cpus_group = folder;
    return;
  }
}

void read_group(CgroupLimits& limits, const Group& group, bool unified, const std::string& controllers) {
  walk_up(group, [&](const std::string& folder) {
    if (unified) {
      read_cpu_v2(limits, folder);
      lower_memory(limits, "memory.max", folder);
      lower_memory(limits, "memory.high", folder);  // above it the kernel slows the process to a crawl
      read_cpus(limits, folder);
      return;
    }
    if (has_word(controllers, "cpu")) read_cpu_v1(limits, folder);
    if (has_word(controllers, "memory")) lower_memory(limits, "memory.limit_in_bytes", folder);
    if (has_word(controllers, "cpuset")) read_cpus(limits, folder);
  });
}

}  // namespace

CgroupLimits read_cgroup_limits(const std::string& root) {
  CgroupLimits limits;
  const std::vector<Mount> mounts = read_mounts(root);
  std::ifstream file(root + "/proc/self/cgroup");
  // "4:cpu,cpuacct:/path" in version 1, "0::/path" in version 2.
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    const bool unified = controllers.empty();
    for (const Mount& mount : mounts) {
      if (mount.unified != unified) continue;
      if (!unified && !has_word(mount.options, controllers.substr(0, controllers.find(',')))) continue;
      read_group(limits, locate(root, mount, path), unified, controllers);
      break;  // the same hierarchy mounted twice says the same twice
    }
  }
  const auto without_root = [&](std::string& folder) { folder.erase(0, std::min(root.size(), folder.size())); };
  without_root(limits.cpu_group), without_root(limits.memory_group), without_root(limits.cpus_group);
  return limits;
}

}  // namespace colonnade::engine
