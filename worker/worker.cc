#include "worker/worker.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/progress.h"
#include "engine/base/units.h"
#include "engine/model/executor.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"
#include "shard/slice.h"
#include "worker/agreement.h"
#include "worker/control_server.h"
#include "worker/heartbeat.h"
#include "worker/load.h"
#include "worker/step_loop.h"

namespace colonnade::worker {
namespace {

// Between the parts of a step a team waits for its rank's thread for so long, mostly within a join.
constexpr int kTeamSpinUs = 50;
constexpr std::int64_t kLoadPollUs = 50'000;
// How long a job that failed stays to tell the coordinator why, and a rank to tell rank 0.
constexpr double kLastWordSeconds = 2.0;

/// One rank from start to end. Members are in the order of their making: what is below uses what is above.
class Rank {
 public:
  Rank(Communicator& comm, const WorkerOptions& options)
      : comm_(comm), options_(options), heartbeat_(comm, options.heartbeat_timeout_s) {}

  Status run() {
    Status ended = live();
    if (!ended.ok() && ended.error().code != ErrorCode::kCancelled) last_word(ended.error());
    return ended;
  }

 private:
  Status live();
  Status announce();
  Status wait_alive();
  Result<engine::HugeMemory> allocate(std::size_t bytes);
  Status load();
  Status make_executor();
  void last_word(const Error& error);
  std::uint64_t job_bytes() const;
  bool leads() const { return comm_.rank() == 0; }
  void say(const std::string& line) const {
    if (!options_.quiet) log_info(line);
  }

  Communicator& comm_;
  const WorkerOptions& options_;
  Heartbeat heartbeat_;
  std::unique_ptr<ControlServer> server_;  // rank 0
  Agreement agreement_;
  const engine::KernelTable* kernels_ = nullptr;
  shard::SliceLayout layout_;
  engine::HugeMemory slice_;
  engine::HugeMemory kv_pool_;
  std::unique_ptr<engine::ThreadTeam> team_;
  std::unique_ptr<engine::RankExecutor> executor_;
};

Status Rank::live() {
  // First of all, and before this thread is pinned: the coordinator sees a job that starts, or hears why it fails.
  if (leads()) {
    COLONNADE_ASSIGN(server_, ControlServer::start(options_.control, options_.secret, [this] { comm_.wake(); }));
  }
  COLONNADE_ASSIGN(agreement_, agree(comm_, options_, heartbeat_));
  COLONNADE_TRY(announce());
  COLONNADE_TRY(load());
  COLONNADE_TRY(make_executor());
  StepLoop loop{.comm = comm_,
                .executor = *executor_,
                .heartbeat = heartbeat_,
                .head_leader = agreement_.head_leader(),
                .step_timeout_s = options_.step_timeout_s,
                .grace_s = options_.grace_s};
  if (!leads()) return follow_steps(loop);
  server_->set_phase(JobPhase::kReady);
  say("ready");
  const Status ended = lead_steps(loop, *server_);
  if (ended.ok()) server_->set_phase(JobPhase::kDraining);
  return ended;
}

Status Rank::announce() {
  COLONNADE_ASSIGN(kernels_, engine::choose_kernels(options_.isa));
  const shard::RankPlan& own = agreement_.own(comm_.rank());
  const std::string& warning = agreement_.placement.warning;
  if (!warning.empty() && comm_.host_mates().front() == comm_.rank()) log_warning(warning);  // once a host
  if (leads()) say(text("plan: ", agreement_.summary(), "; transport: ", comm_.transport(), "; kernels: ", kernels_->name));
  const std::uint64_t granted = agreement_.placement.memory_bytes;
  say(text("memory: ", format_bytes(own.weight_bytes), " weights + ", format_bytes(own.kv_bytes), " KV cache + ",
           format_bytes(own.buffer_bytes), " buffers = ", format_bytes(own.total_bytes()),
           granted > 0 ? text(" of ", format_bytes(granted), " granted") : "", "; ", agreement_.n_threads,
           agreement_.n_threads == 1 ? " thread" : " threads"));
  if (!leads()) return {};
  server_->set_facts({.n_ranks = comm_.size(),
                      .n_stages = static_cast<int>(agreement_.plan.stages.size()),
                      .n_pages = agreement_.n_pages,
                      .n_window_pages = agreement_.n_window_pages,
                      .window_tokens = agreement_.manifest.config.window_reach(),
                      .max_step_tokens = agreement_.options.max_step_tokens,
                      .kernels = kernels_->name,
                      .transport = comm_.transport(),
                      .plan = agreement_.summary()});
  server_->set_phase(JobPhase::kLoading);
  return {};
}

std::uint64_t Rank::job_bytes() const {
  std::uint64_t bytes = 0;
  for (const shard::RankPlan& rank : agreement_.plan.ranks)
    bytes += slice_read_bytes(shard::slice_layout(agreement_.manifest, rank));
  return bytes;
}

/// A short wait in something that takes long: the others hear of us, and we of them and of the coordinator.
Status Rank::wait_alive() {
  COLONNADE_TRY(heartbeat_.beat());
  if (leads() && server_->shutdown_asked())
    return Error{ErrorCode::kCancelled, "the coordinator told the job to leave while it was loading"};
  comm_.wait(std::min(heartbeat_.next_us(), kLoadPollUs));
  return {};
}

/// On a thread of its own, since reserved huge pages are zeroed here, at once.
Result<engine::HugeMemory> Rank::allocate(std::size_t bytes) {
  Result<engine::HugeMemory> made = engine::HugeMemory();
  std::atomic<bool> finished{false};
  std::thread maker([&] {
    made = engine::HugeMemory::allocate(bytes, agreement_.placement.node);
    finished = true;
    comm_.wake();
  });
  Status alive;
  while (alive.ok() && !finished) alive = wait_alive();
  maker.join();
  COLONNADE_TRY(alive);
  return made;
}

Status Rank::load() {
  layout_ = shard::slice_layout(agreement_.manifest, agreement_.own(comm_.rank()));
  COLONNADE_ASSIGN(slice_, allocate(layout_.bytes));
  std::unique_ptr<Progress> bar;  // of the whole job
  const std::uint64_t total = leads() ? job_bytes() : 0;
  if (leads() && !options_.quiet) bar = std::make_unique<Progress>("loading", total, ProgressUnit::kBytes);
  std::uint64_t shown = 0;
  BackgroundLoad loading(agreement_.manifest, agreement_.options.model, layout_, slice_.span(),
                         {.cpus = agreement_.placement.cpus, .verify = options_.verify}, [this] { comm_.wake(); });
  const auto report = [&] {
    heartbeat_.set_loaded(loading.loaded_bytes(), loading.total_bytes());
    if (!leads()) return;
    const std::uint64_t loaded = heartbeat_.loaded_bytes();
    server_->set_loaded(loaded, total);
    if (bar != nullptr && loaded > shown) bar->add(loaded - shown);
    shown = std::max(shown, loaded);
  };
  while (!loading.finished()) {
    report();
    COLONNADE_TRY(wait_alive());
  }
  COLONNADE_TRY(loading.status());
  COLONNADE_TRY(meet_all(comm_, heartbeat_, report));  // showing how far the others are
  if (leads()) server_->set_loaded(total, total);
  if (bar != nullptr) bar->add(total - std::min(total, shown));
  bar.reset();
  const auto bytes = static_cast<double>(loading.total_bytes());
  say(text("loaded ", format_bytes(loading.total_bytes()), " in ", format_seconds(loading.seconds()), " (",
           format_rate(bytes / std::max(loading.seconds(), 1e-9)), ") into ", slice_.page_kind(),
           options_.verify ? ", checksums verified" : ", checksums not verified"));
  return {};
}

Status Rank::make_executor() {
  COLONNADE_ASSIGN(engine::RankWeights weights, shard::make_rank_weights(agreement_.manifest, agreement_.plan,
                                                                         comm_.rank(), layout_, slice_.span()));
  const WorkerOptions& chosen = agreement_.options;
  const engine::ExecutorOptions how{.kv_type = chosen.kv_type,
                                    .n_pages = agreement_.n_pages,
                                    .n_window_pages = agreement_.n_window_pages,
                                    .max_step_tokens = chosen.max_step_tokens};
  COLONNADE_ASSIGN(kv_pool_, allocate(engine::kv_pool_bytes(agreement_.manifest.config, weights, how)));
  // Making joins is collective and cannot wait politely, so all come here first.
  COLONNADE_TRY(meet_all(comm_, heartbeat_, nullptr));
  // Threads that were asked for beyond the granted cores cannot have one each.
  const auto n_cpus = static_cast<int>(agreement_.placement.cpus.size());
  const std::span<const int> cpus = agreement_.n_threads <= n_cpus ? std::span<const int>(agreement_.placement.cpus)
                                                                   : std::span<const int>();
  COLONNADE_ASSIGN(team_, engine::ThreadTeam::make(cpus, agreement_.n_threads, agreement_.shares_cores ? 0 : kTeamSpinUs));
  COLONNADE_ASSIGN(executor_, engine::make_executor(agreement_.manifest.config, std::move(weights), *kernels_, *team_,
                                                    comm_, agreement_.stage_ranks(), kv_pool_.data(), how));
  heartbeat_.all_alive();
  return meet_all(comm_, heartbeat_, nullptr);  // none may be called silent that is still at it
}

/// Lets the others know why, as far as they can still be reached.
void Rank::last_word(const Error& error) {
  heartbeat_.say_failed(error.message);
  if (server_ != nullptr) server_->set_phase(JobPhase::kFailed, error.message);
  const double end = now_seconds() + kLastWordSeconds;
  std::vector<std::byte> ignored;
  while (now_seconds() < end) {
    if (server_ != nullptr && server_->phase_told()) return;
    if (!comm_.try_receive(comm_.rank(), Channel::kHeartbeat, ignored).ok()) return;  // the job has been ended
    comm_.wait(20'000);  // moves pending sends
  }
}

}  // namespace

Status run_worker(Communicator& comm, const WorkerOptions& options) { return Rank(comm, options).run(); }

}  // namespace colonnade::worker
