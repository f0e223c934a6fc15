// Starts a worker job for a command and gives it a Generator: what serve, run, logits, perplexity and bench have in
// common. Opening the model, the number of ranks, the plan check, the processes and the link are all in here.
//
//   COLONNADE_ASSIGN(LaunchOptions launch, launch_options(options));
//   COLONNADE_ASSIGN(std::unique_ptr<RunningJob> job, launch_job(launch));
//   COLONNADE_TRY(job->wait_ready());
//   job->generator().submit(...);
//
// A job's rank 0 is `colonnade worker PACKED_DIRECTORY --control unix:PATH|tcp:HOST:PORT --stages S --kv bf16|int8|f32
// --kv-tokens N --max-step-tokens N [--isa NAME] [--threads N]` with the per-job secret in COLONNADE_SECRET; several
// ranks are the same command under mpirun.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/generator.h"
#include "coordinator/generation_service.h"
#include "engine/base/options.h"
#include "engine/base/result.h"
#include "shard/model_source.h"
#include "shard/plan.h"

namespace colonnade::cli {

enum class RanksAs {
  kAuto,       // one rank in this process, several as processes
  kThreads,    // every rank a thread of this process
  kProcesses,  // a child process, or mpirun for several
};

struct LaunchOptions {
  std::string model;              // as the user named it: a Hugging Face directory or a packed model
  std::string values;             // "" : the packed model's own, or the default
  std::string cache;              // "" : the default cache directory
  int n_ranks = 0;                // 0: what this machine (or the host file) suggests
  int n_stages = 1;
  RanksAs ranks_as = RanksAs::kAuto;
  std::string hosts_file;         // "" : this machine
  engine::KvType kv_type = engine::KvType::kBf16;
  std::uint64_t kv_tokens = 0;    // KV cache over all sequences; 0: chosen from the context and the memory
  std::uint64_t kv_bytes = 0;     // the same as memory over all ranks, in place of kv_tokens; 0: not said
  int context_tokens = 0;         // of one sequence; 0: the model's, bounded by kv_tokens
  int max_step_tokens = 0;        // 0: 512
  std::string isa;                // "" : the best
  int threads = 0;                // of one rank; 0: its share of the granted cores
  bool prefix_reuse = true;       // KV pages of equal prompt beginnings are shared
  double heartbeat_timeout_s = 15;  // a job or rank that is silent for so long is gone
  double step_timeout_s = 120;    // the same for a step that does not end
  bool restart = false;           // start the job again when it dies (serve)
};

/// The command line options that belong to LaunchOptions (all but MODEL), to append to a command's own.
std::vector<Option> launch_option_list();

/// The values of one invocation; the command must have a positional MODEL and the options of launch_option_list().
Result<LaunchOptions> launch_options(const Options& options);
/// The same for a command that names models in other ways: without model, values and cache.
Result<LaunchOptions> launch_settings(const Options& options);

/// In a process that a launcher (mpirun, srun) started as another rank than the first: does that rank's work and returns
/// how it ended. Nothing in any other process. Commands call it before launch_job().
std::optional<Status> run_as_rank(const LaunchOptions& options);

/// A model, its job and the generator on top. Thread-safe.
class RunningJob {
 public:
  virtual ~RunningJob() = default;  // stops

  virtual const shard::OpenedModel& model() const = 0;
  virtual const shard::Plan& plan() const = 0;
  virtual coordinator::GenerationService& service() = 0;
  coordinator::Generator& generator() { return service(); }

  /// What was chosen and why, one fact a line: for people.
  virtual const std::vector<std::string>& choices() const = 0;

  /// A job that dies is started again.
  virtual bool restarts() const = 0;

  /// We run under a launcher that kills its processes about a second after it was told to stop.
  virtual bool under_launcher() const = 0;

  /// Longest sequence (prompt and generated tokens).
  virtual int context_tokens() const = 0;

  /// Waits until the job takes requests. The job's own error when it cannot start. kCancelled after stop().
  virtual Status wait_ready() = 0;

  /// Ends the job: requests still running are cancelled, workers are told to leave, then made to. Idempotent.
  virtual void stop() = 0;
};

/// Opens the model (packing it first where needed), makes the plan and starts the job; returns without waiting for
/// it to load.
Result<std::unique_ptr<RunningJob>> launch_job(const LaunchOptions& options);

/// Stops all jobs of this process; from then on no thread can start or let go of one. For a process that is about to end.
void stop_jobs_for_good();

}  // namespace colonnade::cli
