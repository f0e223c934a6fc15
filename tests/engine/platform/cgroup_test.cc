#include "engine/platform/cgroup.h"

#include <catch2/catch.hpp>

#include "engine/platform/cpu_list.h"
#include "tests/engine/platform/fixture_tree.h"

namespace colonnade::engine {
namespace {

using tests::FixtureTree;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

const char* const kUnifiedMount = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

TEST_CASE("version 2: the smallest limit up the tree counts") {
  FixtureTree tree;
  tree.file("/proc/self/cgroup", "0::/system.slice/colonnade.service")
      .file("/proc/self/mountinfo", kUnifiedMount)
      .file("/sys/fs/cgroup/cgroup.controllers", "cpu memory")
      .file("/sys/fs/cgroup/system.slice/cpu.max", "150000 100000")
      .file("/sys/fs/cgroup/system.slice/memory.max", "max")
      .file("/sys/fs/cgroup/system.slice/colonnade.service/cpu.max", "400000 100000")
      .file("/sys/fs/cgroup/system.slice/colonnade.service/memory.max", "8589934592")
      .file("/sys/fs/cgroup/system.slice/colonnade.service/cpuset.cpus.effective", "0-3,8");
  const CgroupLimits limits = read_cgroup_limits(tree.root());
  CHECK(limits.cpu_quota == 1.5);
  CHECK(limits.cpu_group == "/sys/fs/cgroup/system.slice");
  CHECK(limits.memory_bytes == 8 * kGiB);
  CHECK(limits.memory_group == "/sys/fs/cgroup/system.slice/colonnade.service");
  CHECK(limits.cpus == std::vector<int>{0, 1, 2, 3, 8});
}

TEST_CASE("version 2: a soft limit below the hard one counts") {
  FixtureTree tree;
  tree.file("/proc/self/cgroup", "0::/a").file("/proc/self/mountinfo", kUnifiedMount);
  tree.file("/sys/fs/cgroup/a/memory.max", "4294967296").file("/sys/fs/cgroup/a/memory.high", "3221225472");
  CHECK(read_cgroup_limits(tree.root()).memory_bytes == 3 * kGiB);
}

TEST_CASE("version 2 in a namespace: the group's files lie in the mount itself") {
  FixtureTree tree;
  tree.file("/proc/self/cgroup", "0::/").file("/proc/self/mountinfo", kUnifiedMount);
  tree.file("/sys/fs/cgroup/cpu.max", "50000 100000").file("/sys/fs/cgroup/memory.max", "1073741824");
  const CgroupLimits limits = read_cgroup_limits(tree.root());
  CHECK(limits.cpu_quota == 0.5);
  CHECK(limits.memory_bytes == kGiB);
}

TEST_CASE("version 1: controllers together and apart, limits above the own group") {
  FixtureTree tree;
  tree.file("/proc/self/cgroup", "5:cpuset:/\n4:memory:/slurm/job_7/step_0\n3:cpu,cpuacct:/slurm/job_7\n1:name=systemd:/x")
      .file("/proc/self/mountinfo",
            "36 35 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
            "37 35 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
            "38 35 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
            "39 35 0:33 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
            "40 1 8:1 / / rw - ext4 /dev/sda1 rw")
      .file("/sys/fs/cgroup/cpu,cpuacct/slurm/job_7/cpu.cfs_quota_us", "-1")
      .file("/sys/fs/cgroup/cpu,cpuacct/slurm/job_7/cpu.cfs_period_us", "100000")
      .file("/sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_quota_us", "250000")
      .file("/sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_period_us", "100000")
      .file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")
      .file("/sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", "2147483648")
      .file("/sys/fs/cgroup/memory/slurm/job_7/step_0/memory.limit_in_bytes", "9223372036854771712")
      .file("/sys/fs/cgroup/cpuset/cpuset.cpus", "0-1");
  const CgroupLimits limits = read_cgroup_limits(tree.root());
  CHECK(limits.cpu_quota == 2.5);
  CHECK(limits.cpu_group == "/sys/fs/cgroup/cpu,cpuacct/slurm");
  CHECK(limits.memory_bytes == 2 * kGiB);
  CHECK(limits.memory_group == "/sys/fs/cgroup/memory/slurm/job_7");
  CHECK(limits.cpus == std::vector<int>{0, 1});
}

TEST_CASE("version 1 in a container without a cgroup namespace: the mount's root is cut off") {
  FixtureTree tree;
  tree.file("/proc/self/cgroup", "3:cpu:/docker/abc/inner")
      .file("/proc/self/mountinfo", "36 35 0:30 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu")
      .file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000")
      .file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
      .file("/sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "200000")
      .file("/sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000");
  const CgroupLimits limits = read_cgroup_limits(tree.root());
  CHECK(limits.cpu_quota == 2);
  CHECK(limits.cpu_group == "/sys/fs/cgroup/cpu/inner");
}

TEST_CASE("a group outside of what is mounted: the mount point is ours") {
  for (const char* path : {"/../sibling", "/elsewhere/x", "/docker/abcdef"}) {
    FixtureTree tree;
    tree.file("/proc/self/cgroup", std::string("3:cpu:") + path)
        .file("/proc/self/mountinfo", "36 35 0:30 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu")
        .file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000")
        .file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
    CHECK(read_cgroup_limits(tree.root()).cpu_quota == 3);
  }
}

TEST_CASE("both versions at once, a mount point with a space, and nothing at all") {
  FixtureTree tree;
  tree.file("/proc/self/cgroup", "3:memory:/m\n0::/u")
      .file("/proc/self/mountinfo",
            "36 35 0:30 / /sys/fs/my\\040groups rw - cgroup cgroup rw,memory\n"
            "37 35 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw")
      .file("/sys/fs/my groups/m/memory.limit_in_bytes", "1073741824")
      .file("/sys/fs/cgroup/unified/u/cpu.max", "100000 100000");
  const CgroupLimits limits = read_cgroup_limits(tree.root());
  CHECK(limits.memory_bytes == kGiB);
  CHECK(limits.cpu_quota == 1);
  const CgroupLimits none = read_cgroup_limits(FixtureTree().root());
  CHECK((none.cpu_quota == 0 && none.memory_bytes == 0 && none.cpus.empty()));
}

TEST_CASE("damaged limits are no limits") {
  FixtureTree tree;
  tree.file("/proc/self/cgroup", "0::/a\nnonsense\n").file("/proc/self/mountinfo", std::string(kUnifiedMount) + "\nshort line");
  tree.file("/sys/fs/cgroup/a/cpu.max", "").file("/sys/fs/cgroup/a/memory.max", "lots");
  tree.file("/sys/fs/cgroup/cpu.max", "100000").file("/sys/fs/cgroup/a/cpuset.cpus.effective", "3-1");
  const CgroupLimits limits = read_cgroup_limits(tree.root());
  CHECK((limits.cpu_quota == 0 && limits.memory_bytes == 0 && limits.cpus.empty()));
}

TEST_CASE("CPU lists are read and written") {
  CHECK(parse_cpu_list("0-3,8\n").value() == std::vector<int>{0, 1, 2, 3, 8});
  CHECK(parse_cpu_list("5,1,1-2").value() == std::vector<int>{1, 2, 5});
  CHECK(parse_cpu_list("").value().empty());
  for (const char* bad : {"a", "1-", "-1", "3-1", "1,", "1;2", "0-99999999", "1-2-3"}) {
    const auto list = parse_cpu_list(bad);
    REQUIRE_FALSE(list.ok());
    CHECK(list.error().message.find(bad) != std::string::npos);
  }
  CHECK(format_cpu_list({8, 0, 1, 2, 3}) == "0-3,8");
  CHECK(format_cpu_list({}).empty());
}

}  // namespace
}  // namespace colonnade::engine
