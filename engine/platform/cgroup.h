// What the control groups of this process allow: CPU time, memory, CPUs. Versions 1 and 2, also both at once, with
// and without cgroup namespaces. https://docs.kernel.org/admin-guide/cgroup-v2.html, …/cgroup-v1/
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace colonnade::engine {

/// The smallest limit on the way from the group of this process up to the root; `…_group` is the folder that sets it.
struct CgroupLimits {
  double cpu_quota = 0;  // CPUs; 0: none
  std::string cpu_group;
  std::uint64_t memory_bytes = 0;  // 0: none
  std::string memory_group;
  std::vector<int> cpus;  // cpuset; empty: none
  std::string cpus_group;
};

/// Reads /proc/self/cgroup, /proc/self/mountinfo and the groups' files below `root` ("" is the real system).
/// Whatever is missing or unreadable limits nothing.
CgroupLimits read_cgroup_limits(const std::string& root);

}  // namespace colonnade::engine
