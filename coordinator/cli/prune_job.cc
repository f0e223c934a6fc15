#include "coordinator/cli/prune_job.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <string_view>
#include <vector>

#include "coordinator/cli/command.h"
#include "coordinator/cli/host_file.h"
#include "coordinator/cli/mpirun.h"
#include "coordinator/cli/stop_signals.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/platform/topology.h"
#include "worker/comm_mpi.h"
#include "worker/mpi_job.h"

namespace colonnade::cli {
namespace {

/// Where nothing rings: for the end of a wait that a signal has begun.
constexpr int kLookMs = 100;
/// Of a shell for what a signal has ended.
constexpr int kSignalStatus = 128;
constexpr std::string_view kOwnErrors = "colonnade: ";
/// In the environment of ranks that run_prune_job() has started, be it only one.
constexpr const char* kStarted = "COLONNADE_PRUNE_JOB";

std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  if (!arguments.empty()) arguments.erase(arguments.begin());
  return arguments;
}

/// What the ranks print: our lines as they are, mpirun's kept for the case that nobody else says what happened.
class JobLines {
 public:
  explicit JobLines(std::string report_start) : report_start_(std::move(report_start)) {}

  /// False at the end.
  bool read(int descriptor) {
    std::array<char, 4096> buffer{};
    const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    part_.append(buffer.data(), static_cast<std::size_t>(n));
    for (std::size_t end = 0; (end = part_.find('\n')) != std::string::npos;) {
      show(part_.substr(0, end));
      part_.erase(0, end + 1);
    }
    return n > 0;
  }
  /// From now on nothing is shown: what ranks say as they are ended is no news.
  void silence() { silent_ = true; }
  bool told_error() const { return told_error_; }
  /// "rank 1 with PID 4711 on node host exited on signal 9 (Killed).", "" where mpirun noticed none.
  const std::string& lost() const { return lost_; }

 private:
  void show(const std::string& line) {
    if (silent_) return;
    const bool logged = line.size() > 20 && std::isdigit(static_cast<unsigned char>(line[0])) != 0 && line[10] == 'T';
    const bool error = line.starts_with(kOwnErrors);
    if (line.starts_with(report_start_)) {
      std::fprintf(stdout, "%s\n", line.c_str());
    } else if (logged || (error && !told_error_)) {
      std::fprintf(stderr, "%s\n", line.c_str());
    }
    told_error_ = told_error_ || error;
    constexpr std::string_view kNoticed = "noticed that process ";
    if (const std::size_t at = line.find(kNoticed); at != std::string::npos) lost_ = line.substr(at + kNoticed.size());
  }

  std::string report_start_, part_, lost_;
  bool told_error_ = false;
  bool silent_ = false;
};

/// Lets mpirun end its ranks and clean up when we are told to stop; the second time, or when it takes long, all are killed.
class JobStop {
 public:
  JobStop(const StopSignals& signals, coordinator::ChildProcess& child, JobLines& lines) : signals_(signals), child_(child), lines_(lines) {}

  void look() {
    if (signals_.count() == 0) return;
    if (deadline_ == 0) {
      deadline_ = now_seconds() + kGraceS;
      lines_.silence();
      child_.send_signal(SIGTERM);
    } else if (signals_.count() > 1 || now_seconds() > deadline_) {
      child_.end_session();
    }
  }

 private:
  static constexpr double kGraceS = 10;  // mpirun gives its ranks a second, and the daemons on other hosts another
  const StopSignals& signals_;
  coordinator::ChildProcess& child_;
  JobLines& lines_;
  double deadline_ = 0;
};

std::vector<int> own_cpus() {
  const auto topology = engine::read_topology();
  return topology.ok() ? engine::granted_cpus(*topology) : std::vector<int>{};
}

Result<MpirunJob> mpirun_job(const PruneJob& job) {
  MpirunJob mpirun{.n_ranks = job.n_ranks, .hosts_file = job.hosts_file};
  int slots = static_cast<int>(own_cpus().size());
  if (!job.hosts_file.empty()) {
    COLONNADE_ASSIGN(const std::vector<Host> hosts, read_host_file(job.hosts_file));
    slots = std::accumulate(hosts.begin(), hosts.end(), 0, [](int sum, const Host& host) { return sum + std::max(host.slots, 1); });
    if (mpirun.n_ranks == 0) mpirun.n_ranks = slots;
  }
  mpirun.oversubscribe = mpirun.n_ranks > slots;
  return mpirun;
}

int exit_status_of(const std::string& how) {
  constexpr std::string_view kExited = "exited with status ";
  return how.starts_with(kExited) ? std::max(1, std::atoi(how.c_str() + kExited.size())) : 1;
}

}  // namespace

Result<bool> starts_ranks(const PruneJob& job) {
  if (::getenv(kStarted) != nullptr) return false;
  const auto launched = worker::launched_rank();
  if (!launched || launched->size == 1) return job.n_ranks > 1 || !job.hosts_file.empty();
  if (!job.hosts_file.empty()) return Error{ErrorCode::kInvalidArgument, "--hosts: under mpirun the hosts are mpirun's; give it the host file"};
  if (job.n_ranks != 0 && job.n_ranks != launched->size)
    return Error{ErrorCode::kInvalidArgument, text("--ranks: expected ", launched->size, ", the ranks that were launched, found ", job.n_ranks)};
  return false;
}

int run_prune_job(const PruneJob& job) {
  StopSignals signals;  // from before there is anything to remove until it is removed
  JobFolders folders;
  coordinator::ChildCommand command;
  auto mpirun = mpirun_job(job);
  if (!mpirun.ok()) return fail(mpirun.error());
  const auto program = own_program();
  if (!program.ok()) return fail(program.error());
  if (const Status begun = begin_mpirun(*mpirun, folders, command); !begun.ok()) return fail(begun.error());
  // Ranks have our options from the command line and the environment.
  command.environment.emplace_back(kStarted, "1");
  command.arguments.insert(command.arguments.end(), {"-x", kStarted});
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (const std::string_view name(*variable); name.starts_with("COLONNADE_"))
      command.arguments.insert(command.arguments.end(), {"-x", std::string(name.substr(0, name.find('=')))});
  command.arguments.push_back(*program);
  for (std::string& argument : own_arguments()) command.arguments.push_back(std::move(argument));
  auto child = coordinator::ChildProcess::start(command);
  if (!child.ok()) return fail(child.error());

  JobLines lines(text(job.out, ": "));
  JobStop stop(signals, *child, lines);
  for (bool open = true; open || !child->ended();) {
    pollfd ready[] = {{open ? child->output_descriptor() : child->exit_descriptor(), POLLIN, 0},
                      {signals.count() == 0 ? signals.descriptor() : -1, POLLIN, 0}};
    ::poll(ready, 2, kLookMs);
    if (open && ready[0].revents != 0) open = lines.read(child->output_descriptor());
    stop.look();
  }
  const std::string how = *child->ended();
  if (how == "exited with status 0") return 0;
  if (signals.count() > 0) {
    (void)fail({ErrorCode::kCancelled, text("prune: stopped by signal ", signals.last(), ". The same command goes on where it was")});
    return kSignalStatus + signals.last();
  }
  if (lines.told_error()) return exit_status_of(how);
  return fail({ErrorCode::kUnavailable, text("prune: the job of ", mpirun->n_ranks, " ranks was ended: ", lines.lost().empty() ? how : lines.lost(),
                                             lines.lost().ends_with('.') ? "" : ".", " The same command goes on where it was")});
}

PruneEnd prune_as_rank(const std::filesystem::path& source, const std::filesystem::path& out, shard::PruneOptions options,
                       const std::function<Status(shard::PruneOptions&)>& prepare) {
  if (::getenv(kStarted) != nullptr) (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody else wants the result
  const auto launched = worker::launched_rank();
  if (!launched || launched->size == 1) {
    if (const Status ready = prepare(options); !ready.ok()) return {.exit_status = fail(ready.error())};
    auto report = shard::prune_model(source, out, options);
    if (!report.ok()) return {.exit_status = fail(report.error())};
    return {.report = std::move(*report)};
  }
  set_log_name(text("rank ", launched->rank));
  const auto session = worker::MpiSession::start();
  if (!session.ok()) return {.exit_status = fail(session.error())};
  const bool first = launched->rank == 0;
  const auto give_up = [&](const Error& error) {
    (*session)->abort(fail(first ? error : Error{error.code, text("rank ", launched->rank, ": ", error.message)}));
  };
  const auto comm = (*session)->connect({.cpus = own_cpus()});
  if (!comm.ok()) give_up(comm.error());
  if (first)
    if (const Status ready = prepare(options); !ready.ok()) give_up(ready.error());
  bool all_know = false;
  auto report = shard::prune_model(source, out, std::move(options), **comm, all_know);
  if (!report.ok() && !all_know) give_up(report.error());
  PruneEnd end;
  if (!report.ok()) end.exit_status = first ? fail(report.error()) : report.error().code == ErrorCode::kInvalidArgument ? 2 : 1;
  if (report.ok() && first) end.report = std::move(*report);
  if (const Status finished = (*session)->finish(); !finished.ok() && end.exit_status == 0) end.exit_status = fail(finished.error());
  return end;
}

}  // namespace colonnade::cli
