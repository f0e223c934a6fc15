#include "worker/local_ranks.h"

#include <latch>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/base/thread_comm.h"
#include "engine/platform/team.h"
#include "engine/platform/topology.h"
#include "worker/load.h"

namespace colonnade::worker {
namespace {

/// Everything of one rank; members are destroyed in reverse order, the executor first.
struct Rank {
  std::unique_ptr<engine::ThreadTeam> team;
  engine::HugeMemory weights;
  engine::HugeMemory kv;
  std::unique_ptr<engine::RankExecutor> executor;
};

}  // namespace

SliceProvider slices_of(const shard::Manifest& manifest, std::filesystem::path directory) {
  return [&manifest, directory = std::move(directory)](int, const shard::SliceLayout& layout) -> Result<engine::HugeMemory> {
    COLONNADE_ASSIGN(engine::HugeMemory memory, engine::HugeMemory::allocate(layout.bytes, -1));
    LoadState state;
    COLONNADE_TRY(load_slice(manifest, directory, layout, memory.span(), {}, state));
    return memory;
  };
}

struct LocalRanks::State {
  State(const shard::Manifest& the_manifest, const shard::Plan& the_plan, const LocalRanksOptions& the_options,
        const engine::KernelTable& the_kernels)
      : manifest(the_manifest), plan(the_plan), options(the_options), kernels(the_kernels),
        job(static_cast<int>(the_plan.ranks.size()), job_options(the_plan, the_options)) {
    for (const shard::StagePlan& stage : plan.stages) stage_ranks.push_back(stage.ranks);
  }

  static ThreadJobOptions job_options(const shard::Plan& plan, const LocalRanksOptions& options) {
    ThreadJobOptions result;
    result.join.wait = wait_policy_for(static_cast<int>(plan.ranks.size()) * options.threads_per_rank);
    return result;
  }

  Result<Rank> make_rank(int rank, const SliceProvider& slices) {
    Rank made;
    const int n_ranks = static_cast<int>(plan.ranks.size());
    std::vector<int> cpus;
    if (!options.cpus.empty()) {
      const auto first = options.cpus.begin() + static_cast<std::ptrdiff_t>(rank) * options.threads_per_rank;
      cpus.assign(first, first + options.threads_per_rank);
    }
    const WaitPolicy policy = wait_policy_for(n_ranks * options.threads_per_rank);
    COLONNADE_ASSIGN(made.team, engine::ThreadTeam::make(cpus, options.threads_per_rank, policy.spin_us));
    const shard::SliceLayout layout = shard::slice_layout(manifest, plan.ranks[static_cast<std::size_t>(rank)]);
    COLONNADE_ASSIGN(made.weights, slices(rank, layout));
    COLONNADE_ASSIGN(engine::RankWeights weights,
                     shard::make_rank_weights(manifest, plan, rank, layout, made.weights.span()));
    engine::ExecutorOptions executor;
    executor.kv_type = options.kv_type;
    executor.n_pages = options.n_pages;
    executor.n_window_pages = options.n_window_pages;
    executor.max_step_tokens = options.max_step_tokens;
    executor.schedule = options.schedule;
    executor.tap = options.tap;
    executor.shared_router_weights = options.shared_router_weights;
    const std::size_t kv_bytes = engine::kv_pool_bytes(manifest.config, weights, executor);
    COLONNADE_ASSIGN(made.kv, engine::HugeMemory::allocate(std::max<std::size_t>(64, kv_bytes), -1));
    COLONNADE_ASSIGN(made.executor, engine::make_executor(manifest.config, std::move(weights), kernels, *made.team,
                                                          job.comm(rank), stage_ranks, made.kv.data(), executor));
    return made;
  }

  /// The life of ranks 1 …: an empty message ends it.
  Status serve(int rank, engine::RankExecutor& executor) {
    Communicator& comm = job.comm(rank);
    std::vector<std::byte> message;
    engine::Step step;
    engine::StepResult result;
    for (;;) {
      COLONNADE_TRY(comm.receive(0, Channel::kStep, message));
      if (message.empty()) return {};
      COLONNADE_TRY(engine::read_step(message, step));
      COLONNADE_ASSIGN(const bool leader, executor.run(step, result));
      if (!leader) continue;
      engine::write_result(result, message);
      COLONNADE_TRY(comm.send(0, Channel::kResults, message));
    }
  }

  const shard::Manifest& manifest;
  const shard::Plan& plan;
  LocalRanksOptions options;
  const engine::KernelTable& kernels;
  std::vector<std::vector<int>> stage_ranks;
  ThreadJob job;
  std::optional<Rank> rank0;
  std::vector<Status> status;   // of the other ranks, by rank
  std::vector<std::jthread> threads;
  std::vector<std::byte> step_bytes;
};

LocalRanks::LocalRanks(std::unique_ptr<State> state) : state_(std::move(state)) {}

LocalRanks::~LocalRanks() {
  for (int rank = 1; rank < state_->job.size(); ++rank)
    (void)state_->job.comm(0).send(rank, Channel::kStep, {});
  state_->threads.clear();
}

Result<std::unique_ptr<LocalRanks>> LocalRanks::start(const shard::Manifest& manifest, const shard::Plan& plan,
                                                      const SliceProvider& slices, const LocalRanksOptions& options) {
  COLONNADE_CHECK(options.cpus.empty() || options.cpus.size() == plan.ranks.size() * static_cast<std::size_t>(options.threads_per_rank),
                  "a CPU for each thread");
  COLONNADE_ASSIGN(const engine::KernelTable* kernels, engine::choose_kernels(options.isa));
  auto state = std::make_unique<State>(manifest, plan, options, *kernels);
  State& s = *state;
  const auto n_ranks = static_cast<std::size_t>(s.job.size());
  s.status.resize(n_ranks);
  std::latch started(static_cast<std::ptrdiff_t>(n_ranks - 1));
  for (int rank = 1; rank < s.job.size(); ++rank) {
    s.threads.emplace_back([&s, &slices, &started, rank] {
      Status& status = s.status[static_cast<std::size_t>(rank)];
      auto made = s.make_rank(rank, slices);
      if (!made.ok()) {
        status = made.error();
        s.job.end();
      }
      started.count_down();
      if (made.ok()) status = s.serve(rank, *made->executor);
      if (!status.ok()) s.job.end();
    });
  }
  auto made = s.make_rank(0, slices);
  if (!made.ok()) s.job.end();
  started.wait();
  for (const Status& status : s.status)
    if (!status.ok()) made = status.error();
  if (!made.ok()) {
    s.threads.clear();
    return made.error();
  }
  s.rank0 = std::move(made).value();
  return std::unique_ptr<LocalRanks>(new LocalRanks(std::move(state)));
}

Status LocalRanks::run(const engine::Step& step, engine::StepResult& result) {
  State& s = *state_;
  if (s.job.size() > 1) {
    engine::write_step(step, s.step_bytes);
    for (int rank = 1; rank < s.job.size(); ++rank) COLONNADE_TRY(s.job.comm(0).send(rank, Channel::kStep, s.step_bytes));
  }
  COLONNADE_ASSIGN(const bool leader, s.rank0->executor->run(step, result));
  if (leader) return {};
  COLONNADE_TRY(s.job.comm(0).receive(s.stage_ranks.back().front(), Channel::kResults, s.step_bytes));
  return engine::read_result(s.step_bytes, result);
}

const char* LocalRanks::kernels() const { return state_->kernels.name; }

}  // namespace colonnade::worker
