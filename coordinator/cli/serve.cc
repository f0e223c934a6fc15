// colonnade serve: the model over HTTP. A wiring diagram: job, tokenizer, API, server; then waiting for signals.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <thread>

#include "coordinator/api_backend.h"
#include "coordinator/chat_renderer.h"
#include "coordinator/cli/chat_files.h"
#include "coordinator/cli/chat_options.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/launch.h"
#include "coordinator/cli/stop_signals.h"
#include "coordinator/cli/tokenizer_file.h"
#include "coordinator/http_server.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

using coordinator::JobPhase;
using coordinator::JobState;

// What a launcher that was told to stop leaves us, with a margin.
constexpr double kLauncherPatienceS = 0.5;
// After the second signal, for the last words of requests.
constexpr double kHurryS = 0.5;

void print_line(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

Result<coordinator::ApiBackend> make_backend(RunningJob& job, const engine::Tokenizer& tokenizer, coordinator::Metrics& metrics,
                                             const std::string& chat_template) {
  const shard::Manifest& manifest = job.model().manifest;
  const auto source = [&](const char* name) {
    const std::string* content = manifest.source_file(name);
    return content != nullptr ? *content : std::string();
  };
  coordinator::ApiBackend backend;
  COLONNADE_ASSIGN(const auto templates, chat_templates_of(manifest, chat_template));
  backend.chat = coordinator::chat_settings_of(templates, tokenizer);
  COLONNADE_ASSIGN(backend.defaults,
                   coordinator::read_generation_defaults(source("generation_config.json"), source("config.json")));
  backend.tokenizer = &tokenizer;
  backend.generator = &job.generator();
  backend.metrics = &metrics;
  backend.model = manifest.name;
  backend.created = std::time(nullptr);
  backend.context_tokens = job.context_tokens();
  if (manifest.config.encoder) backend.vector_dim = manifest.config.dim;
  else backend.constraints = std::make_shared<coordinator::ConstraintCompiler>(tokenizer, static_cast<int>(manifest.config.vocab_size));
  backend.job_state = [&job] { return job.service().state(); };
  backend.counters = [&job] { return job.service().counters(); };
  return backend;
}

/// Waits until the job takes requests and says so. False when a signal came first.
Result<bool> wait_until_ready(RunningJob& job, StopSignals& signals, const std::string& url) {
  const double began = now_seconds();
  std::thread waiter([&] {
    (void)job.wait_ready();
    signals.ring();
  });
  const auto undecided = [&] { return job.service().state().phase != JobPhase::kReady && !job.service().start_failed(); };
  while (signals.count() == 0 && undecided()) signals.wait(-1);
  const bool stopped = signals.count() > 0;
  if (stopped) job.service().stop();  // ends the waiter too
  waiter.join();
  if (stopped) return false;
  COLONNADE_TRY(job.wait_ready());
  const JobState state = job.service().state();
  print_line(text("job: ", state.plan, "; kernels ", state.kernels, "; transport ", state.transport));
  print_line(text("ready after ", format_seconds(now_seconds() - began), ": ", url));
  return true;
}

/// Until a signal comes, or until the job is gone for good.
Status serve_until_stopped(RunningJob& job, StopSignals& signals) {
  while (signals.count() == 0) {
    signals.wait(1.0);
    if (!job.restarts() && job.service().state().phase == JobPhase::kNone)
      return Error{ErrorCode::kUnavailable, job.service().state().message};
  }
  return {};
}

/// Lets running requests finish; another signal ends them.
bool drain(RunningJob& job, coordinator::HttpServer& server, StopSignals& signals, double seconds) {
  const auto counters = job.service().counters();
  print_line(text("stopping: ", counters.running + counters.waiting, " requests may finish within ", format_seconds(seconds),
                  "; another signal ends them"));
  std::atomic<bool> done{false};
  bool finished = false;
  std::thread stopper([&] {
    finished = server.stop(seconds);
    done = true;
    signals.ring();
  });
  while (!done) {
    signals.wait(-1);
    if (!done && signals.count() > 1) {
      job.service().stop();  // requests end as cancelled, and so do their connections
      server.hurry(kHurryS);  // but not those that send or read slowly
      break;
    }
  }
  stopper.join();
  return finished && signals.count() < 2;
}

Status serve(const Options& options, const LaunchOptions& launch) {
  COLONNADE_ASSIGN(const auto job, launch_job(launch));
  StopSignals signals;
  for (const std::string& choice : job->choices()) print_line(choice);
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(job->model().directory));
  coordinator::Metrics metrics;
  COLONNADE_ASSIGN(coordinator::ApiBackend backend, make_backend(*job, *tokenizer, metrics, options.text("chat-template")));
  apply_chat_options(options, backend.chat);
  print_line(backend.vector_dim > 0 ? text("an encoder: embeddings of ", backend.vector_dim, " dimensions, no completions")
                                    : coordinator::describe(backend.chat));
  coordinator::HttpServerOptions server_options;
  server_options.host = options.text("host");
  server_options.port = static_cast<std::uint16_t>(options.integer("port"));
  coordinator::ApiOptions api_options;
  api_options.keys = options.list("api-key");
  api_options.cors_origin = options.text("cors-origin");
  coordinator::HttpServer server(server_options, coordinator::make_api(std::move(backend), std::move(api_options)));
  COLONNADE_ASSIGN(const std::uint16_t port, server.start());
  const bool is_v6 = server_options.host.find(':') != std::string::npos;
  const std::string url = text("http://", is_v6 ? "[" : "", server_options.host, is_v6 ? "]" : "", ":", port);
  print_line(text("listening at ", url, " (/health answers 503 until the model is loaded)"));

  COLONNADE_ASSIGN(const bool ready, wait_until_ready(*job, signals, url));
  Status ended;
  if (ready) {
    ended = serve_until_stopped(*job, signals);
    double patience_s = ended.ok() ? options.number("drain-seconds") : 1.0;
    if (job->under_launcher()) patience_s = std::min(patience_s, kLauncherPatienceS);
    const bool finished = drain(*job, server, signals, patience_s);
    if (ended.ok() && !finished) ended = Error{ErrorCode::kCancelled, "stopped before all requests had finished"};
  }
  server.stop(0);
  job->stop();
  if (ended.ok()) print_line("stopped");
  return ended;
}

int run(const Options& options) {
  auto launch = launch_options(options);
  if (!launch.ok()) return fail(launch.error());
  // A server outlives its job, so the job is a process of its own even when it has one rank only.
  if (launch->ranks_as == RanksAs::kAuto) launch->ranks_as = RanksAs::kProcesses;
  launch->restart = true;
  if (const auto as_rank = run_as_rank(*launch)) return as_rank->ok() ? 0 : fail(as_rank->error());
  const Status status = serve(options, *launch);
  return status.ok() ? 0 : fail(status.error());
}

}  // namespace

const Command& serve_command() {
  static const Command command = [] {
    CommandSpec spec{
        .name = "serve",
        .summary = "Serves a model over HTTP with the OpenAI API.",
        .details = "Without options it starts as many ranks as the machine has NUMA nodes. SIGTERM and Ctrl-C let running\n"
                   "requests finish; a second one ends them.\n\n"
                   "  colonnade serve MODEL\n"
                   "  colonnade serve MODEL --ranks 2 --port 8000 --api-key secret\n"
                   "  colonnade serve MODEL --hosts hosts.txt\n"
                   "  mpirun -n 8 --hostfile hosts.txt colonnade serve MODEL",
        .positionals = {{.name = "MODEL", .help = "a Hugging Face directory, a GGUF file or a packed model"}},
        .options = {
            {.name = "host", .default_value = "127.0.0.1", .value_name = "ADDRESS", .help = "Where to listen; 0.0.0.0 is everywhere."},
            {.name = "port", .kind = OptionKind::kInt, .default_value = "8080", .value_name = "PORT", .help = "0 takes any free one.", .min = 0, .max = 65535},
            {.name = "api-key", .value_name = "KEY", .help = "Bearer key that clients must send; several may be given.", .repeatable = true},
            {.name = "cors-origin", .value_name = "ORIGIN", .help = "Web pages of this origin (or * for all) may call the API."},
            {.name = "drain-seconds", .kind = OptionKind::kNumber, .default_value = "60", .value_name = "S", .help = "Longest wait for running requests when stopping.", .min = 0, .max = 86400},
        }};
    for (const Option& option : chat_option_list()) spec.options.push_back(option);
    for (const Option& option : launch_option_list()) spec.options.push_back(option);
    return Command{std::move(spec), run};
  }();
  return command;
}

}  // namespace colonnade::cli
