#include "coordinator/cli/diagnosis.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
/// OpenMPI keeps 4 MiB a rank there, joins another few. With less than the first, two ranks of one host cannot talk.
constexpr std::uint64_t kSharedMemoryNeeded = 16 * kMiB;
constexpr std::uint64_t kSharedMemoryAmple = 64 * kMiB;
/// Timestamps of several hosts in one log are then no longer in order.
constexpr double kClockTolerance_s = 1;
/// Sockets of clients, files of a model with many shards.
constexpr std::uint64_t kOpenFilesNeeded = 1024;

class Diagnosis {
 public:
  explicit Diagnosis(std::span<const HostFacts> hosts) : hosts_(hosts) {}

  std::vector<Finding> run() {
    for (const HostFacts& host : hosts_) {
      check_same(host);
      check_model(host);
      check_memory(host);
      check_network(host);
    }
    check_all_together();
    std::stable_sort(findings_.begin(), findings_.end(),
                     [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
    return std::move(findings_);
  }

 private:
  void fail(const HostFacts& host, std::string message) {
    findings_.push_back({Severity::kFailure, host.host, std::move(message)});
  }
  void warn(const HostFacts& host, std::string message) {
    findings_.push_back({Severity::kWarning, host.host, std::move(message)});
  }

  void check_same(const HostFacts& host) {
    const HostFacts& first = hosts_.front();
    if (host.version != first.version) {
      fail(host, text("program version ", host.version, ", ", first.host, " has ", first.version));
    } else if (host.program_checksum != first.program_checksum) {
      warn(host, text("the program is another build of version ", host.version, " than on ", first.host));
    }
    if (host.mpi != first.mpi) {
      fail(host, text("MPI is '", host.mpi, "', ", first.host, " has '", first.mpi, "'"));
    } else if (host.mpi.empty()) {
      warn(host, "no mpirun in PATH: only one rank is possible (Debian: apt-get install openmpi-bin)");
    }
    if (host.kernels.rfind("none", 0) == 0) fail(host, text("kernels: ", host.kernels));
    if (host.kernels == "scalar") warn(host, text("no vector instructions that this program uses: slow (CPU ", host.cpu, ")"));
    if (host.kernels != first.kernels) {
      warn(host, text("kernels ", host.kernels, ", ", first.host, " has ", first.kernels, ": ranks here are slower or faster"));
    }
    if (std::abs(host.clock_offset_s) > kClockTolerance_s) {
      warn(host, text("clock is ", format_seconds(std::abs(host.clock_offset_s)), host.clock_offset_s > 0 ? " ahead of " : " behind ",
                      first.host));
    }
  }

  void check_model(const HostFacts& host) {
    const ModelFacts& model = host.model;
    if (model.path.empty()) return;
    if (!model.error.empty()) {
      fail(host, text("model: ", model.error));
      return;
    }
    const ModelFacts& first = hosts_.front().model;
    if (first.error.empty() && model.checksum != first.checksum) {
      fail(host, text("model ", model.path, " has checksum ", model.checksum, ", on ", hosts_.front().host, " it is ",
                      first.checksum));
    }
  }

  void check_memory(const HostFacts& host) {
    if (host.transparent_pages == "never" && host.reserved_pages == 0) {
      warn(host, "transparent huge pages are off and none are reserved: reading weights is slower "
                 "(echo madvise > /sys/kernel/mm/transparent_hugepage/enabled)");
    }
    if (host.shm_free_bytes < kSharedMemoryAmple) {
      const bool enough = host.shm_free_bytes >= kSharedMemoryNeeded;
      findings_.push_back({enough ? Severity::kWarning : Severity::kFailure, host.host,
                           text("/dev/shm has ", format_bytes(host.shm_free_bytes), " free, ranks of one host want ",
                                format_bytes(kSharedMemoryAmple), " (containers: --shm-size=1g)")});
    }
    if (host.open_files < kOpenFilesNeeded) {
      warn(host, text("ulimit -n is ", host.open_files, ", better ", kOpenFilesNeeded, " or more"));
    }
  }

  void check_network(const HostFacts& host) {
    if (hosts_.size() > 1 && host.interfaces.empty()) fail(host, "no network interface is up");
    if (host.fast_networks.empty()) return;
    if (host.mpi_selection.find("^ucx") != std::string::npos) {
      warn(host, text("fast network ", host.fast_networks.front(), " is not used: OpenMPI's configuration has '",
                      host.mpi_selection, "' (Debian's default); messages go over TCP"));
    } else if (host.memlock_bytes != UINT64_MAX) {
      warn(host, text("ulimit -l is ", format_bytes(host.memlock_bytes), ": network ", host.fast_networks.front(),
                      " wants unlimited locked memory"));
    }
  }

  void check_all_together() {
    std::set<std::string> common;
    std::uint64_t memory = 0, free = 0, model = 0;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      std::set<std::string> networks;
      for (const InterfaceFacts& interface : hosts_[i].interfaces)
        networks.insert(interface.networks.begin(), interface.networks.end());
      if (i == 0) common = networks;
      std::erase_if(common, [&](const std::string& network) { return !networks.contains(network); });
      memory += hosts_[i].memory_bytes;
      free += hosts_[i].free_bytes;
      model = std::max(model, hosts_[i].model.bytes);
    }
    if (hosts_.size() > 1 && common.empty()) {
      findings_.push_back({Severity::kWarning, "", "the hosts have no network in common: messages are routed"});
    }
    if (model > memory) {
      findings_.push_back({Severity::kFailure, "", text("the model has ", format_bytes(model), " of weights, the memory granted is ",
                                                        format_bytes(memory))});
    } else if (model > free) {
      findings_.push_back({Severity::kWarning, "", text("the model has ", format_bytes(model), " of weights, free are ",
                                                        format_bytes(free), " of ", format_bytes(memory))});
    }
  }

  std::span<const HostFacts> hosts_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> diagnose(std::span<const HostFacts> hosts) {
  return hosts.empty() ? std::vector<Finding>{} : Diagnosis(hosts).run();
}

std::string findings_text(std::span<const Finding> findings) {
  std::string out;
  std::size_t failures = 0;
  for (const Finding& finding : findings) {
    failures += finding.severity == Severity::kFailure;
    out += text(finding.severity == Severity::kFailure ? "failure  " : "warning  ", finding.host,
                finding.host.empty() ? "" : ": ", finding.message, "\n");
  }
  const std::size_t warnings = findings.size() - failures;
  const auto count = [](std::size_t n, const char* thing) { return text(n, " ", thing, n == 1 ? "" : "s"); };
  if (failures > 0) return out + count(failures, "failure") + ", " + count(warnings, "warning") + "\n";
  return out + (warnings > 0 ? "ready, with " + count(warnings, "warning") : std::string("ready")) + "\n";
}

}  // namespace colonnade::cli
