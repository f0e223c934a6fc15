#include "worker/in_process_job.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/thread_comm.h"
#include "worker/private_endpoint.h"

namespace colonnade::worker {

struct InProcessJob::State {
  State(PrivateEndpoint chosen, int n_ranks, double step_timeout_s)
      : endpoint(std::move(chosen)),
        ranks(n_ranks, {.join = {.wait = wait_policy_for(n_ranks),
                                 .timeout_us = static_cast<std::int64_t>(step_timeout_s * kJoinTimeoutFactor * 1e6)}}) {}

  PrivateEndpoint endpoint;
  ThreadJob ranks;
  std::vector<std::thread> threads;
  std::atomic<int> n_running{0};
  std::mutex mutex;
  bool stopping = false;
  std::optional<Error> error;  // the first that a rank returned by itself

  void run_rank(int rank, const WorkerOptions& options) {
    const Status ended = run_worker(ranks.comm(rank), options);
    {
      const std::lock_guard lock(mutex);
      // What a rank says because it was stopped is no error of the job.
      const bool stopped = !ended.ok() && stopping &&
                           (ended.error().code == ErrorCode::kUnavailable || ended.error().code == ErrorCode::kCancelled);
      if (!ended.ok() && !stopped && !error) {
        error = ended.error();
        log_debug(text("rank ", rank, ": ", ended.error().message));  // the coordinator is told, and says it
      }
    }
    if (!ended.ok()) ranks.end();  // the others may be waiting for this one
    n_running.fetch_sub(1, std::memory_order_release);
  }
};

Result<std::unique_ptr<InProcessJob>> start_in_process_job(WorkerOptions options, int n_ranks) {
  COLONNADE_ASSIGN(PrivateEndpoint endpoint, PrivateEndpoint::make());
  options.control = endpoint.address();
  options.secret = endpoint.secret();
  auto state = std::make_unique<InProcessJob::State>(std::move(endpoint), n_ranks, options.step_timeout_s);
  InProcessJob::State* const raw = state.get();
  std::unique_ptr<InProcessJob> job(new InProcessJob(std::move(state)));
  raw->n_running.store(n_ranks);
  for (int rank = 0; rank < n_ranks; ++rank) {
    options.quiet = rank != 0;
    raw->threads.emplace_back([raw, rank, options] { raw->run_rank(rank, options); });
  }
  // Rank 0 listens within milliseconds; whoever connects must find it.
  while (!raw->endpoint.exists() && raw->n_running.load(std::memory_order_acquire) == n_ranks)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (!raw->endpoint.exists()) {
    const Status failed = job->stop();
    if (!failed.ok()) return failed.error();
    return Error{ErrorCode::kUnavailable, "the worker job ended before it listened"};
  }
  return job;
}

InProcessJob::InProcessJob(std::unique_ptr<State> state) : state_(std::move(state)) {}

InProcessJob::~InProcessJob() { (void)stop(); }

const std::string& InProcessJob::address() const { return state_->endpoint.address(); }
const std::string& InProcessJob::secret() const { return state_->endpoint.secret(); }
bool InProcessJob::running() const { return state_->n_running.load(std::memory_order_acquire) > 0; }

Status InProcessJob::stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    threads.swap(state_->threads);
  }
  if (!threads.empty()) state_->ranks.end();
  for (std::thread& thread : threads) thread.join();
  const std::lock_guard lock(state_->mutex);
  if (state_->error) return *state_->error;
  return {};
}

}  // namespace colonnade::worker
