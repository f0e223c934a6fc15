#include "coordinator/cli/job_processes.h"

#include <random>

#include "coordinator/cli/mpirun.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "worker/private_endpoint.h"

namespace colonnade::cli {
namespace {

/// What exists as long as the job.
struct JobPlaces {
  explicit JobPlaces(worker::PrivateEndpoint job_endpoint) : endpoint(std::move(job_endpoint)) {}
  worker::PrivateEndpoint endpoint;
  JobFolders folders;
};

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

}  // namespace

Result<coordinator::JobStart> make_job_start(const LaunchSetup& setup) {
  COLONNADE_ASSIGN(worker::PrivateEndpoint endpoint, worker::PrivateEndpoint::make());
  COLONNADE_ASSIGN(const std::string program, own_program());
  auto places = std::make_shared<JobPlaces>(std::move(endpoint));
  coordinator::JobStart start;
  start.endpoint = {places->endpoint.address(), places->endpoint.secret()};
  std::string listen = start.endpoint.address;
  std::vector<std::string>& arguments = start.command.arguments;
  start.command.environment.emplace_back("COLONNADE_SECRET", start.endpoint.secret);
  if (setup.kind == JobKind::kMpi) {
    COLONNADE_TRY(begin_mpirun({setup.n_ranks, setup.options.hosts_file, setup.oversubscribe}, places->folders, start.command));
    if (!setup.hosts.empty() && !is_this_host(setup.hosts[0].name)) {
      const RemoteAddress remote = remote_address(setup.hosts[0].name);
      start.endpoint.address = remote.connect;
      listen = remote.listen;
    }
    arguments.insert(arguments.end(), {"-x", "COLONNADE_SECRET"});
  }
  append_worker_command(setup, program, listen, arguments);
  start.keep = std::move(places);
  return start;
}

}  // namespace colonnade::cli
