#include "coordinator/cli/launch.h"

#include <csignal>
#include <mutex>
#include <vector>

#include "coordinator/cli/job_processes.h"
#include "coordinator/cli/launch_setup.h"
#include "coordinator/scheduler.h"
#include "coordinator/supervisor.h"
#include "engine/kernels/kernels.h"
#include "engine/model/step.h"
#include "engine/model/window_pages.h"
#include "worker/in_process_job.h"
#include "worker/mpi_job.h"

namespace colonnade::cli {
namespace {

// The coordinator may not see the engine's headers; here both are seen.
static_assert(coordinator::kMaxAlternatives == engine::kMaxTop);
static_assert(engine::kRowSample == 1 && engine::kRowFullLogits == 2 && engine::kRowPooled == 4);

coordinator::ServiceOptions service_options(const LaunchSetup& setup) {
  coordinator::ServiceOptions options;
  options.vocab_size = setup.model.manifest.config.vocab_size;
  options.context_tokens = setup.context_tokens;
  options.page_tokens = engine::kPageTokens;
  options.n_pages = static_cast<int>(setup.worker.kv_tokens / engine::kPageTokens);
  options.max_step_tokens = setup.worker.max_step_tokens;
  const engine::ModelConfig& config = setup.model.manifest.config;
  options.n_window_pages = engine::window_pages(config, options.n_pages, options.max_step_tokens);
  options.window_tokens = config.window_reach();
  options.n_stages = setup.options.n_stages;
  options.prefix_reuse = setup.options.prefix_reuse;
  if (config.encoder) {
    options.vector_dim = config.dim;
    options.n_token_types = config.n_token_types;
  }
  options.step_deadline_s = setup.worker.step_timeout_s;
  options.heartbeat_timeout_s = setup.worker.heartbeat_timeout_s;
  return options;
}

/// The jobs that run, for stop_jobs_for_good().
struct RunningJobs {
  std::mutex mutex;
  std::vector<RunningJob*> jobs;
};
RunningJobs& running_jobs() {
  static RunningJobs* const all = new RunningJobs;  // never destroyed: a process may end while it is locked
  return *all;
}

class Job final : public RunningJob {
 public:
  explicit Job(LaunchSetup setup) : setup_(std::move(setup)), service_(service_options(setup_)) {}
  ~Job() override {
    stop();
    const std::lock_guard lock(running_jobs().mutex);
    std::erase(running_jobs().jobs, this);
  }

  Status start() {
    const std::lock_guard lock(running_jobs().mutex);
    running_jobs().jobs.push_back(this);
    switch (setup_.kind) {
      case JobKind::kThreads: {
        COLONNADE_ASSIGN(threads_, worker::start_in_process_job(setup_.worker, setup_.n_ranks));
        service_.connect({threads_->address(), threads_->secret()}, give_up());
        return {};
      }
      case JobKind::kUnderMpi: {
        COLONNADE_ASSIGN(rank_, worker::MpiRankThread::start(setup_.worker));
        service_.connect({rank_->address(), rank_->secret()}, give_up());
        return {};
      }
      case JobKind::kProcess:
      case JobKind::kMpi: {
        coordinator::SupervisorOptions options;
        options.make_start = [this] { return make_job_start(setup_); };
        options.restart = setup_.options.restart;
        supervisor_ = std::make_unique<coordinator::Supervisor>(std::move(options), service_);
        supervisor_->start();
        return {};
      }
    }
    return {};
  }

  const shard::OpenedModel& model() const override { return setup_.model; }
  const shard::Plan& plan() const override { return setup_.plan; }
  coordinator::GenerationService& service() override { return service_; }
  const std::vector<std::string>& choices() const override { return setup_.choices; }
  bool restarts() const override { return supervisor_ != nullptr && setup_.options.restart; }
  bool under_launcher() const override { return setup_.kind == JobKind::kUnderMpi; }
  int context_tokens() const override { return setup_.context_tokens; }
  Status wait_ready() override { return service_.wait_ready(); }

  void stop() override {
    const std::lock_guard lock(stop_mutex_);
    service_.stop();
    if (supervisor_) supervisor_->stop();
    if (threads_) (void)threads_->stop();
    if (rank_) (void)rank_->join();
  }

 private:
  /// What happens when a job that nobody starts again is lost.
  std::function<void(const Error&)> give_up() {
    return [this](const Error&) { service_.give_up(); };
  }

  const LaunchSetup setup_;
  std::mutex stop_mutex_;
  coordinator::GenerationService service_;
  std::unique_ptr<worker::InProcessJob> threads_;
  std::unique_ptr<worker::MpiRankThread> rank_;
  std::unique_ptr<coordinator::Supervisor> supervisor_;
};

}  // namespace

std::optional<Status> run_as_rank(const LaunchOptions& options) {
  const auto launched = worker::launched_rank();
  if (!launched || launched->rank == 0 || options.ranks_as == RanksAs::kThreads) return std::nullopt;
  // Rank 0 says what concerns everybody; where the model lies each host finds out for itself.
  auto setup = set_up_launch(options);
  if (!setup.ok()) return Status(setup.error());
  // The launcher sends its signals to every rank; rank 0 answers them and tells the others to leave.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  return worker::run_mpi_worker(setup->worker);
}

Result<std::unique_ptr<RunningJob>> launch_job(const LaunchOptions& options) {
  COLONNADE_ASSIGN(LaunchSetup setup, set_up_launch(options));
  auto job = std::make_unique<Job>(std::move(setup));
  COLONNADE_TRY(job->start());
  return std::unique_ptr<RunningJob>(std::move(job));
}

void stop_jobs_for_good() {
  running_jobs().mutex.lock();  // and never unlocked
  for (RunningJob* const job : running_jobs().jobs) job->stop();
}

}  // namespace colonnade::cli
