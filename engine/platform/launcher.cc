#include "engine/platform/launcher.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string_view>

namespace colonnade::engine {
namespace {

std::vector<int> affinity_of(pid_t pid) {
  cpu_set_t* set = CPU_ALLOC(8192);  // the fixed cpu_set_t ends at 1024 CPUs
  const std::size_t bytes = CPU_ALLOC_SIZE(8192);
  CPU_ZERO_S(bytes, set);
  std::vector<int> cpus;
  if (sched_getaffinity(pid, bytes, set) == 0) {
    for (int cpu = 0; cpu < 8192; ++cpu)
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, set)) cpus.push_back(cpu);
  }
  CPU_FREE(set);
  return cpus;
}

struct Process {
  std::string name;
  pid_t parent = 0;
};

/// /proc/PID/stat: "12 (name with spaces) S 1 …".
Process read_process(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t open = line.find('(');
  const std::size_t close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return {};
  Process process{line.substr(open + 1, close - open - 1), 0};
  std::istringstream rest(line.substr(close + 1));
  char state = 0;
  rest >> state >> process.parent;
  return process;
}

}  // namespace

bool binding_is_meant(const std::function<const char*(const char*)>& environment) {
  if (environment("OMPI_COMM_WORLD_SIZE") == nullptr) return true;
  for (const char* name : {"OMPI_MCA_hwloc_base_binding_policy", "PRTE_MCA_hwloc_default_binding_policy",
                           "OMPI_MCA_hwloc_base_cpu_list", "OMPI_MCA_orte_rankfile", "OMPI_MCA_rmaps_rank_file_path"}) {
    const char* value = environment(name);
    if (value != nullptr && *value != '\0') return true;
  }
  return false;
}

std::vector<int> own_affinity() { return affinity_of(0); }

std::vector<int> launcher_affinity() {
  static constexpr std::array<std::string_view, 7> kLaunchers = {"mpirun",  "mpiexec", "orterun", "orted",
                                                                 "prterun", "prted",   "prte"};
  pid_t pid = getppid();
  for (int depth = 0; pid > 0 && depth < 16; ++depth) {  // a wrapper script or two may lie in between
    const Process process = read_process(pid);
    if (std::find(kLaunchers.begin(), kLaunchers.end(), process.name) != kLaunchers.end()) return affinity_of(pid);
    pid = process.parent;
  }
  return {};
}

}  // namespace colonnade::engine
