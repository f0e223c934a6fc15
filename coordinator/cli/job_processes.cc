#include "coordinator/cli/job_processes.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "worker/private_endpoint.h"

namespace colonnade::cli {
namespace {

/// What exists as long as the job.
struct JobFolders {
  explicit JobFolders(worker::PrivateEndpoint job_endpoint) : endpoint(std::move(job_endpoint)) {}
  ~JobFolders() {
    std::error_code ignored;
    for (const auto& folder : folders) std::filesystem::remove_all(folder, ignored);
  }
  worker::PrivateEndpoint endpoint;
  std::vector<std::filesystem::path> folders;

  /// A new folder in `parent`; "" when that cannot be.
  std::string make(const std::string& parent) {
    std::string folder = parent + "/colonnade-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) return "";
    folders.emplace_back(folder);
    return folder;
  }
};

Result<std::string> own_program() {
  std::error_code failure;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) return Error{ErrorCode::kIo, text("/proc/self/exe: ", failure.message())};
  return program.string();
}

/// "tcp:HOST:PORT" of rank 0 on another host, and where it listens there. Which ports are free there nobody here knows;
/// when the one that was drawn is taken, the next start draws another.
struct RemoteAddress {
  std::string connect;
  std::string listen;
};
RemoteAddress remote_address(const std::string& host) {
  std::random_device device;
  const int port = 20000 + static_cast<int>(device() % 12000);  // below the range that systems give out by themselves
  return {text("tcp:", host, ":", port), text("tcp:0.0.0.0:", port)};
}

void append_worker_command(const LaunchSetup& setup, const std::string& program, const std::string& control,
                           std::vector<std::string>& out) {
  const worker::WorkerOptions& worker = setup.worker;
  out.insert(out.end(), {program, "worker", worker.model.string(), "--control", control, "--stages", text(worker.n_stages),
                         "--kv", std::string(engine::kv_type_name(worker.kv_type)), "--kv-tokens",
                         text(worker.kv_tokens), "--max-step-tokens", text(worker.max_step_tokens), "--heartbeat-timeout",
                         text(worker.heartbeat_timeout_s), "--step-timeout", text(worker.step_timeout_s)});
  if (!worker.isa.empty()) out.insert(out.end(), {"--isa", worker.isa});
  if (worker.threads != 0) out.insert(out.end(), {"--threads", text(worker.threads)});
  constexpr const char* kLevels[] = {"debug", "info", "warning", "error"};
  out.insert(out.end(), {"--log-level", kLevels[static_cast<int>(log_level())]});
}

void add_mpi_environment(const LaunchSetup& setup, JobFolders& folders, coordinator::ChildCommand& command) {
  if (::geteuid() == 0) {
    command.environment.emplace_back("OMPI_ALLOW_RUN_AS_ROOT", "1");
    command.environment.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
  // A killed mpirun cannot clean up. On one machine everything of it lies in folders that we remove; on several, a
  // folder of ours would be missing on the others.
  if (!setup.hosts.empty()) return;
  std::error_code failure;
  const std::string sessions = folders.make(std::filesystem::temp_directory_path(failure).string());
  if (!sessions.empty()) command.environment.emplace_back("OMPI_MCA_orte_tmpdir_base", sessions);
  const std::string shared_memory = folders.make("/dev/shm");
  if (!shared_memory.empty()) command.environment.emplace_back("OMPI_MCA_btl_vader_backing_directory", shared_memory);
}

}  // namespace

Result<coordinator::JobStart> make_job_start(const LaunchSetup& setup) {
  COLONNADE_ASSIGN(worker::PrivateEndpoint endpoint, worker::PrivateEndpoint::make());
  COLONNADE_ASSIGN(const std::string program, own_program());
  auto folders = std::make_shared<JobFolders>(std::move(endpoint));
  coordinator::JobStart start;
  start.endpoint = {folders->endpoint.address(), folders->endpoint.secret()};
  std::string listen = start.endpoint.address;
  std::vector<std::string>& arguments = start.command.arguments;
  start.command.environment.emplace_back("COLONNADE_SECRET", start.endpoint.secret);
  if (setup.kind == JobKind::kMpi) {
    if (coordinator::find_program("mpirun").empty())
      return Error{ErrorCode::kNotFound, text("mpirun: not found in PATH, and ", setup.n_ranks,
                                              " ranks need it (Debian: apt install openmpi-bin)")};
    if (!setup.hosts.empty() && !is_this_host(setup.hosts[0].name)) {
      const RemoteAddress remote = remote_address(setup.hosts[0].name);
      start.endpoint.address = remote.connect;
      listen = remote.listen;
    }
    // Ranks share the cores out themselves; mpirun's own binding puts two small jobs on the same core.
    arguments = {"mpirun", "-n", text(setup.n_ranks), "--bind-to", "none"};
    if (setup.oversubscribe) arguments.push_back("--oversubscribe");
    if (!setup.hosts.empty()) arguments.insert(arguments.end(), {"--hostfile", setup.options.hosts_file});
    arguments.insert(arguments.end(), {"-x", "COLONNADE_SECRET"});
    add_mpi_environment(setup, *folders, start.command);
    start.command.death_signal = SIGTERM;  // mpirun then ends its ranks
  }
  append_worker_command(setup, program, listen, arguments);
  start.keep = std::move(folders);
  return start;
}

}  // namespace colonnade::cli
