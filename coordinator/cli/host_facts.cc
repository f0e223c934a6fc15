#include "coordinator/cli/host_facts.h"

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "coordinator/cli/model_facts.h"
#include "coordinator/cli/network_facts.h"
#include "engine/base/version.h"
#include "engine/kernels/kernels.h"
#include "engine/platform/topology.h"

namespace colonnade::cli {
namespace {

/// "model name : AMD EPYC …" on x86; other machines call it something else or nothing.
std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    if (start != std::string::npos) return line.substr(start);
  }
  return "";
}

std::uint64_t limit_of(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return 0;
  return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

void read_topology_facts(const engine::Topology& topology, HostFacts& facts) {
  facts.cores = static_cast<int>(topology.cores.size());
  facts.numa_nodes = static_cast<int>(topology.nodes.size());
  facts.limits = topology.grants;
  facts.memory_bytes = topology.memory_limit_bytes;
  for (const engine::NodeInfo& node : topology.nodes) {
    facts.free_bytes += node.free_bytes;
    facts.reserved_pages += node.huge_pages_free;
  }
  facts.transparent_pages = topology.huge_pages;
}

}  // namespace

Result<HostFacts> gather_host_facts(const std::string& model) {
  HostFacts facts;
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  read_topology_facts(topology, facts);
  char name[HOST_NAME_MAX + 1] = {};
  gethostname(name, HOST_NAME_MAX);
  facts.host = name;
  facts.version = kVersion;
  facts.program_checksum = file_checksum("/proc/self/exe");
  utsname system{};
  if (uname(&system) == 0) facts.system = system.release;
  facts.cpu = cpu_name();
  const auto kernels = engine::choose_kernels("");
  facts.kernels = kernels.ok() ? (*kernels)->name : "none: " + kernels.error().message;
  struct statvfs shm {};
  if (statvfs("/dev/shm", &shm) == 0) {
    facts.shm_bytes = static_cast<std::uint64_t>(shm.f_blocks) * shm.f_frsize;
    facts.shm_free_bytes = static_cast<std::uint64_t>(shm.f_bavail) * shm.f_frsize;
  }
  facts.memlock_bytes = limit_of(RLIMIT_MEMLOCK);
  facts.open_files = limit_of(RLIMIT_NOFILE);
  read_network_facts(facts);
  facts.model = read_model_facts(model);
  return facts;
}

}  // namespace colonnade::cli
