#include "coordinator/generation_service.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "coordinator/link.h"
#include "coordinator/scheduler.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/page_window.h"
#include "worker/control.pb.h"

namespace colonnade::coordinator {
namespace {

namespace asio = boost::asio;

// All logits of a step on the link at once; more rows wait for the next step.
constexpr int kFullLogitBytes = 4 << 20;
constexpr std::chrono::milliseconds kDeadlineTick{500};
constexpr std::chrono::seconds kGoodbyeLimit{1};

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

SchedulerLimits scheduler_limits(const ServiceOptions& options) {
  SchedulerLimits limits;
  limits.n_pages = options.n_pages;
  limits.n_window_pages = options.n_window_pages;
  limits.window_tokens = options.window_tokens;
  limits.page_tokens = options.page_tokens;
  limits.context_tokens = options.context_tokens;
  limits.vocab_size = options.vocab_size;
  limits.max_step_tokens = options.max_step_tokens;
  limits.max_full_rows = std::clamp(kFullLogitBytes / 4 / std::max(options.vocab_size, 1), 1, 64);
  limits.max_running = options.max_running;
  limits.n_stages = options.n_stages;
  limits.prefix_reuse = options.prefix_reuse;
  limits.vector_dim = options.vector_dim;
  limits.n_token_types = options.n_token_types;
  limits.hash_seed = random_seed();
  return limits;
}

}  // namespace

struct GenerationService::State {
  explicit State(const ServiceOptions& service_options)
      : options(service_options), scheduler(scheduler_limits(service_options)), limits(scheduler.limits()) {}

  const ServiceOptions options;

  // The service's thread only.
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  asio::steady_timer deadline_timer{io};
  asio::steady_timer goodbye_timer{io};
  bool leaving = false;
  Scheduler scheduler;
  std::unique_ptr<Link> link;
  bool ready = false;  // the job takes steps
  std::function<void(const Error&)> on_lost;
  std::uint64_t losses = 0;
  double compute_us = 0;
  double coordinator_us = 0;

  // Shared.
  mutable std::mutex mutex;
  std::condition_variable changed;
  SchedulerLimits limits;
  JobState job;
  ServiceCounters counters;
  std::uint64_t jobs_ready = 0;
  std::optional<Error> start_error;  // a job that ended before it was ready
  std::optional<Error> given_up;     // no job will come; written by the service's thread only
  bool refusing = false;
  bool stopped = false;
  GenerationId next_id = 1;
  std::uint64_t unfinished = 0;
  std::thread thread;

  void open(const JobEndpoint& endpoint, std::function<void(const Error&)> lost);
  void on_welcome(const control::Welcome& welcome);
  void on_status(const control::Status& status);
  void on_result(const control::StepResult& result, std::int64_t received_us);
  void lose(const Error& error);
  void give_up();
  void add(GenerationId id, GenerationRequest request, GenerationCallbacks callbacks);
  void pump();
  void publish_counters();
  void watch_deadline();
  void goodbye();
  GenerationCallbacks counted(GenerationCallbacks callbacks);
};

void GenerationService::State::open(const JobEndpoint& endpoint, std::function<void(const Error&)> lost) {
  if (leaving) return;
  if (link) lose({ErrorCode::kUnavailable, "another worker job takes over"});
  on_lost = std::move(lost);
  LinkEvents events;
  // A link that was given up may still have frames to hand over in the call that gave it up.
  events.on_welcome = [this](const control::Welcome& welcome) {
    if (link) on_welcome(welcome);
  };
  events.on_status = [this](const control::Status& status) {
    if (link) on_status(status);
  };
  events.on_result = [this](const control::StepResult& result, std::int64_t us) {
    if (link) on_result(result, us);
  };
  events.on_closed = [this](const Error& error) {
    if (link) lose(error);
  };
  link = std::make_unique<Link>(io,
                                LinkOptions{endpoint.address, endpoint.secret, options.connect_timeout_s,
                                            options.heartbeat_timeout_s},
                                std::move(events));
  const std::lock_guard lock(mutex);
  job = {};
  job.phase = stopped ? JobPhase::kStopped : JobPhase::kConnecting;
  start_error.reset();
}

void GenerationService::State::on_welcome(const control::Welcome& welcome) {
  SchedulerLimits next = scheduler_limits(options);
  next.n_pages = static_cast<int>(welcome.n_pages());
  next.n_window_pages = static_cast<int>(welcome.n_window_pages());
  next.window_tokens = static_cast<int>(welcome.window_tokens());
  next.page_tokens = static_cast<int>(welcome.page_tokens());
  next.max_step_tokens = static_cast<int>(welcome.max_step_tokens());
  next.n_stages = static_cast<int>(welcome.n_stages());
  if (next.n_pages < 1 || next.page_tokens < 1 || next.max_step_tokens < 1 || next.n_stages < 1) {
    return lose({ErrorCode::kCorrupt,
                 text("the worker job offers ", next.n_pages, " KV pages of ", next.page_tokens, " tokens, ",
                      next.max_step_tokens, " tokens a step, ", next.n_stages, " stages: expected at least 1 of each")});
  }
  if (const int needed = window_step_pages(next.max_step_tokens, next.window_tokens, next.page_tokens);
      next.n_window_pages != 0 && (next.window_tokens < 1 || next.n_window_pages < needed)) {
    return lose({ErrorCode::kCorrupt, text("the worker job offers ", next.n_window_pages, " KV pages for windows of ", next.window_tokens,
                                           " tokens: expected at least ", needed, ", those of one step")});
  }
  scheduler.restart(next);
  const std::lock_guard lock(mutex);
  limits = scheduler.limits();
  job.phase = JobPhase::kLoading;
  job.n_ranks = static_cast<int>(welcome.n_ranks());
  job.n_stages = static_cast<int>(welcome.n_stages());
  job.kernels = welcome.kernels();
  job.transport = welcome.transport();
  job.plan = welcome.plan();
}

void GenerationService::State::on_status(const control::Status& status) {
  const bool now_ready = status.phase() == control::Status::READY;
  {
    const std::lock_guard lock(mutex);
    job.loaded_bytes = status.loaded_bytes();
    job.total_bytes = status.total_bytes();
    if (now_ready && !ready) {
      job.phase = JobPhase::kReady;
      ++jobs_ready;
      start_error.reset();
      changed.notify_all();
    }
  }
  ready = now_ready;
  pump();
}

void GenerationService::State::on_result(const control::StepResult& result, std::int64_t received_us) {
  if (!result.error().empty())
    return lose({ErrorCode::kCorrupt, text("the worker job refused step ", result.id(), ": ", result.error())});
  compute_us += result.compute_us();
  if (const Status applied = scheduler.apply(result); !applied.ok()) return lose(applied.error());
  pump();
  coordinator_us += static_cast<double>(now_us() - received_us);
  publish_counters();
}

/// The job is of no more use: whoever began in it gets the error, whoever waits goes on waiting.
void GenerationService::State::lose(const Error& error) {
  if (link) {
    ++losses;
    asio::post(io, [old = std::shared_ptr<Link>(std::move(link))] {});  // not now: it may be calling us
  }
  {
    const std::lock_guard lock(mutex);
    if (!ready) start_error = error;
    job = {};
    if (stopped) job.phase = JobPhase::kStopped;
    job.message = error.message;
    changed.notify_all();
  }
  ready = false;
  scheduler.job_lost({ErrorCode::kUnavailable, "the worker job ended while it computed this request: " + error.message});
  publish_counters();
  if (on_lost) std::exchange(on_lost, nullptr)(error);
}

void GenerationService::State::give_up() {
  if (link) lose({ErrorCode::kUnavailable, "the worker job was given up"});
  Error error{ErrorCode::kUnavailable, {}};
  {
    const std::lock_guard lock(mutex);
    error.message = text("the worker job has ended and none will follow", job.message.empty() ? "" : ": ", job.message);
    given_up = error;
    changed.notify_all();
  }
  scheduler.end_all(FinishReason::kError, &error);
  publish_counters();
}

void GenerationService::State::add(GenerationId id, GenerationRequest request, GenerationCallbacks callbacks) {
  if (given_up) return callbacks.on_finish(FinishReason::kError, &*given_up);
  // Checked when it was submitted; a job that came since may be smaller.
  if (const Status status = Scheduler::validate(request, scheduler.limits()); !status.ok()) {
    callbacks.on_finish(FinishReason::kError, &status.error());
    return;
  }
  const Status added = scheduler.add(id, std::move(request), std::move(callbacks));
  COLONNADE_CHECK(added.ok(), "a request that was valid a moment ago");
  pump();
  publish_counters();
}

void GenerationService::State::pump() {
  if (!ready || !link) return;
  while (scheduler.next_step(now_seconds(), link->step())) link->send_step();
}

void GenerationService::State::publish_counters() {
  const SchedulerCounts& counts = scheduler.counts();
  const std::lock_guard lock(mutex);
  counters.steps = counts.steps;
  counters.prompt_tokens = counts.prompt_tokens;
  counters.reused_tokens = counts.reused_tokens;
  counters.generated_tokens = counts.generated_tokens;
  counters.requests = counts.requests;
  counters.preemptions = counts.preemptions;
  counters.job_losses = losses;
  counters.running = static_cast<std::uint64_t>(scheduler.n_running());
  counters.waiting = static_cast<std::uint64_t>(scheduler.n_waiting());
  counters.pages_used = static_cast<std::uint64_t>(scheduler.pool().used());
  counters.pages_cached = static_cast<std::uint64_t>(scheduler.pool().cached());
  counters.pages_total = static_cast<std::uint64_t>(scheduler.pool().n_pages());
  counters.window_pages_used = static_cast<std::uint64_t>(scheduler.window_pool().used());
  counters.window_pages_cached = static_cast<std::uint64_t>(scheduler.window_pool().cached());
  counters.window_pages_total = static_cast<std::uint64_t>(scheduler.window_pool().n_pages());
  counters.compute_us = compute_us;
  counters.coordinator_us = coordinator_us;
}

void GenerationService::State::watch_deadline() {
  deadline_timer.expires_after(kDeadlineTick);
  deadline_timer.async_wait([this](boost::system::error_code error) {
    if (error || leaving) return;  // cancel() comes too late for a call that is queued already
    const double since = scheduler.oldest_step_s();
    if (since >= 0 && now_seconds() - since > options.step_deadline_s)
      lose({ErrorCode::kTimeout, text("a step took longer than ", options.step_deadline_s, " s")});
    watch_deadline();
  });
}

void GenerationService::State::goodbye() {
  leaving = true;
  deadline_timer.cancel();
  scheduler.end_all(FinishReason::kCancelled, nullptr);
  publish_counters();
  on_lost = nullptr;
  const auto leave = [this] {
    link.reset();
    work.reset();
    goodbye_timer.cancel();
  };
  if (!link) return leave();
  goodbye_timer.expires_after(kGoodbyeLimit);  // a job that does not read must not keep us
  goodbye_timer.async_wait([leave](boost::system::error_code error) {
    if (!error) leave();
  });
  link->send_shutdown([this, leave] { asio::post(io, leave); });
}

/// Callbacks that also keep `unfinished` right.
GenerationCallbacks GenerationService::State::counted(GenerationCallbacks callbacks) {
  callbacks.on_finish = [this, on_finish = std::move(callbacks.on_finish)](FinishReason reason, const Error* error) {
    publish_counters();  // before anybody hears of the end: its pages are free by now
    if (on_finish) on_finish(reason, error);
    const std::lock_guard lock(mutex);
    if (--unfinished == 0) changed.notify_all();
  };
  return callbacks;
}

GenerationService::GenerationService(const ServiceOptions& options) : state_(std::make_unique<State>(options)) {
  state_->publish_counters();
  state_->watch_deadline();
  state_->thread = std::thread([state = state_.get()] { state->io.run(); });
}

GenerationService::~GenerationService() { stop(); }

Result<GenerationId> GenerationService::submit(GenerationRequest request, GenerationCallbacks callbacks) {
  State& s = *state_;
  // Under the lock up to the post, so that ids arrive in their order.
  const std::lock_guard lock(s.mutex);
  if (s.refusing || s.stopped) return Error{ErrorCode::kUnavailable, "the server is stopping"};
  if (s.given_up) return *s.given_up;
  COLONNADE_TRY(Scheduler::validate(request, s.limits));
  const auto limit = static_cast<std::uint64_t>(s.options.max_waiting + s.options.max_running);
  if (s.unfinished >= limit)
    return Error{ErrorCode::kExhausted, text("too many requests: ", s.unfinished, " are running or waiting, at most ", limit, " may")};
  ++s.unfinished;
  const GenerationId id = s.next_id++;
  asio::post(s.io, [&s, id, moved = std::move(request), counted = s.counted(std::move(callbacks))]() mutable {
    s.add(id, std::move(moved), std::move(counted));
  });
  return id;
}

void GenerationService::cancel(GenerationId id) {
  State& s = *state_;
  asio::post(s.io, [&s, id] {
    s.scheduler.cancel(id);
    s.pump();
    s.publish_counters();
  });
}

void GenerationService::connect(const JobEndpoint& endpoint, std::function<void(const Error&)> on_lost) {
  State& s = *state_;
  {
    // At once, so that a wait_ready() after this does not see the job before.
    const std::lock_guard lock(s.mutex);
    if (!s.stopped) s.job.phase = JobPhase::kConnecting;
    s.start_error.reset();
  }
  asio::post(s.io, [&s, endpoint, lost = std::move(on_lost)]() mutable { s.open(endpoint, std::move(lost)); });
}

void GenerationService::job_died(const Error& error) {
  State& s = *state_;
  asio::post(s.io, [&s, error] { s.lose(error); });
}

void GenerationService::give_up() {
  State& s = *state_;
  asio::post(s.io, [&s] { s.give_up(); });
}

Status GenerationService::wait_ready() {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  s.changed.wait(lock, [&] { return s.stopped || s.job.phase == JobPhase::kReady || s.start_error || s.given_up; });
  if (s.stopped) return Error{ErrorCode::kCancelled, "stopped before the worker job was ready"};
  if (s.job.phase == JobPhase::kReady) return {};
  return s.start_error ? *s.start_error : *s.given_up;
}

bool GenerationService::start_failed() const {
  const std::lock_guard lock(state_->mutex);
  return state_->start_error.has_value() || state_->given_up.has_value();
}

std::uint64_t GenerationService::jobs_ready() const {
  const std::lock_guard lock(state_->mutex);
  return state_->jobs_ready;
}

JobState GenerationService::state() const {
  const std::lock_guard lock(state_->mutex);
  return state_->job;
}

ServiceCounters GenerationService::counters() const {
  const std::lock_guard lock(state_->mutex);
  return state_->counters;
}

int GenerationService::context_tokens() const {
  const std::lock_guard lock(state_->mutex);
  return state_->limits.context_tokens;
}

bool GenerationService::drain(double seconds) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  s.refusing = true;
  s.changed.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return s.unfinished == 0 || s.stopped; });
  return s.unfinished == 0;
}

void GenerationService::stop() {
  State& s = *state_;
  {
    const std::lock_guard lock(s.mutex);
    if (s.stopped) return;
    s.stopped = true;
    s.job.phase = JobPhase::kStopped;
    s.changed.notify_all();
  }
  asio::post(s.io, [&s] { s.goodbye(); });
  s.thread.join();
}

}  // namespace colonnade::coordinator
