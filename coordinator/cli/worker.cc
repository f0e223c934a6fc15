// colonnade worker: one rank of a worker job. `serve` and the other commands start it; people rarely do.
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>
#include <vector>

#include "coordinator/cli/command.h"
#include "engine/base/format_text.h"
#include "worker/mpi_job.h"

namespace colonnade::cli {
namespace {

constexpr const char* kSecretVariable = "COLONNADE_SECRET";

/// "1,1,0.5"
Result<std::vector<double>> read_speeds(const std::string& list) {
  std::vector<double> speeds;
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    double speed = 0;
    const auto [stopped, failure] = std::from_chars(list.data() + begin, list.data() + end, speed);
    if (failure != std::errc{} || stopped != list.data() + end || !(speed > 0) || speed > 1e6)
      return Error{ErrorCode::kInvalidArgument, text("--speeds: expected positive numbers such as 1,1,0.5, found \"",
                                                     list.substr(begin, end - begin), "\"")};
    speeds.push_back(speed);
    begin = end + 1;
  }
  return speeds;
}

Result<worker::WorkerOptions> worker_options(const Options& options) {
  worker::WorkerOptions worker;
  worker.model = options.positional("MODEL");
  worker.control = options.text("control");
  worker.n_stages = static_cast<int>(options.integer("stages"));
  worker.kv_type = *engine::find_kv_type(options.text("kv"));
  worker.kv_tokens = static_cast<std::uint64_t>(options.integer("kv-tokens"));
  worker.max_step_tokens = static_cast<int>(options.integer("max-step-tokens"));
  worker.isa = options.text("isa");
  worker.threads = static_cast<int>(options.integer("threads"));
  COLONNADE_ASSIGN(worker.speeds, read_speeds(options.text("speeds")));
  worker.verify = options.flag("verify");
  worker.grace_s = options.number("grace");
  worker.heartbeat_timeout_s = options.number("heartbeat-timeout");
  worker.step_timeout_s = options.number("step-timeout");
  if (const char* secret = std::getenv(kSecretVariable)) worker.secret = secret;
  const auto launched = worker::launched_rank();
  const bool leads = !launched || launched->rank == 0;
  if (leads && worker.control.empty())
    return Error{ErrorCode::kInvalidArgument, "--control: rank 0 needs an address to listen on, unix:/path or tcp:host:port"};
  if (leads && worker.secret.empty())
    return Error{ErrorCode::kInvalidArgument, text(kSecretVariable, " is not set: rank 0 needs the job's secret in it")};
  return worker;
}

int run(const Options& options) {
  // Whoever started this rank is the only one who can use it.
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto worker = worker_options(options);
  if (!worker.ok()) return fail(worker.error());
  const Status ended = worker::run_mpi_worker(*worker);
  return ended.ok() ? 0 : fail(ended.error());
}

}  // namespace

const Command& worker_command() {
  static const Command command{
      {.name = "worker",
       .summary = "Runs one rank of a worker job; serve and the other commands start it.",
       .details = "Several ranks are the same command under mpirun. Rank 0 listens for the coordinator, which must know the\n"
                  "secret in the environment variable COLONNADE_SECRET; it is never given on the command line.\n\n"
                  "  COLONNADE_SECRET=… colonnade worker /data/qwen3.packed --control unix:/run/colonnade/control\n"
                  "  mpirun -n 4 -x COLONNADE_SECRET colonnade worker /data/qwen3.packed --control tcp:0.0.0.0:7070",
       .positionals = {{"MODEL", "a packed model, at the same place on every host"}},
       .options =
           {{.name = "control", .value_name = "ADDRESS", .help = "Where rank 0 listens: unix:/path or tcp:host:port."},
            {.name = "stages", .kind = OptionKind::kInt, .default_value = "1", .value_name = "N",
             .help = "Pipeline stages.", .min = 1, .max = 4096},
            {.name = "kv", .kind = OptionKind::kChoice, .default_value = "bf16", .help = "Type of the KV cache.",
             .choices = {"bf16", "int8", "f32"}},
            {.name = "kv-tokens", .kind = OptionKind::kInt, .default_value = "4096", .value_name = "N",
             .help = "KV cache in tokens, over all sequences.", .min = 1, .max = 1e9},
            {.name = "max-step-tokens", .kind = OptionKind::kInt, .default_value = "512", .value_name = "N",
             .help = "Most tokens in one step.", .min = 1, .max = 65536},
            {.name = "isa", .value_name = "NAME", .help = "Instruction set of the kernels; unset: the best."},
            {.name = "threads", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N",
             .help = "Threads of this rank; 0: its share of the granted cores.", .min = 0, .max = 4096},
            {.name = "speeds", .value_name = "LIST",
             .help = "Relative speed of each rank, such as 1,1,0.5; unset: all alike."},
            {.name = "verify", .kind = OptionKind::kFlag, .default_value = "true",
             .help = "Compare checksums while loading."},
            {.name = "grace", .kind = OptionKind::kNumber, .default_value = "60", .value_name = "SECONDS",
             .help = "Without a coordinator for so long, the job ends itself.", .min = 1, .max = 1e6},
            {.name = "heartbeat-timeout", .kind = OptionKind::kNumber, .default_value = "15", .value_name = "SECONDS",
             .help = "A rank that is silent for so long is gone.", .min = 1, .max = 1e6},
            {.name = "step-timeout", .kind = OptionKind::kNumber, .default_value = "120", .value_name = "SECONDS",
             .help = "The same for a rank that has a step to run.", .min = 1, .max = 1e6}}},
      run};
  return command;
}

}  // namespace colonnade::cli
