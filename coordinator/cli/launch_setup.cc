#include "coordinator/cli/launch_setup.h"

#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "engine/kernels/kernels.h"
#include "engine/platform/topology.h"
#include "worker/mpi_job.h"

namespace colonnade::cli {
namespace {

// Room for several conversations at once; less when the memory says so.
constexpr std::uint64_t kWishedKvTokens = 32768;
constexpr std::uint64_t kFewestKvTokens = 1024;
constexpr int kDefaultStepTokens = 512;

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

std::string plural(std::uint64_t count, const std::string& thing) { return text(count, " ", thing, count == 1 ? "" : "s"); }

int slots_of(const std::vector<Host>& hosts) {
  return std::accumulate(hosts.begin(), hosts.end(), 0, [](int sum, const Host& host) { return sum + std::max(host.slots, 1); });
}

Status choose_ranks(const engine::Topology& topology, LaunchSetup& setup) {
  const LaunchOptions& options = setup.options;
  const auto launched = worker::launched_rank();
  std::string why = "--ranks";
  setup.n_ranks = options.n_ranks;
  if (!options.hosts_file.empty()) {
    COLONNADE_ASSIGN(setup.hosts, read_host_file(options.hosts_file));
  }
  if (options.ranks_as != RanksAs::kThreads && launched && launched->size > 1) {
    if (!setup.hosts.empty()) return invalid("--hosts: under mpirun the hosts are mpirun's; give it the host file");
    if (options.n_ranks != 0 && options.n_ranks != launched->size)
      return invalid(text("--ranks: expected ", launched->size, ", the ranks that were launched, found ", options.n_ranks));
    setup.n_ranks = launched->size;
    setup.kind = JobKind::kUnderMpi;
    why = "as launched";
  } else if (setup.n_ranks == 0 && !setup.hosts.empty()) {
    setup.n_ranks = slots_of(setup.hosts);
    why = "the slots of the host file";
  } else if (setup.n_ranks == 0) {
    // Stages need a rank each, whatever the machine.
    setup.n_ranks = std::max(engine::suggested_ranks(topology), options.n_stages);
    why = "one for each NUMA node";
    if (setup.n_ranks == options.n_stages && setup.n_ranks > engine::suggested_ranks(topology)) why = "one for each stage";
  }
  if (setup.kind != JobKind::kUnderMpi) {
    const bool alone = setup.n_ranks == 1 && setup.hosts.empty();
    const bool threads = options.ranks_as == RanksAs::kThreads || (options.ranks_as == RanksAs::kAuto && alone);
    if (threads && !setup.hosts.empty()) return invalid("--ranks-as threads: ranks of several hosts are processes");
    setup.kind = threads ? JobKind::kThreads : alone ? JobKind::kProcess : JobKind::kMpi;
  }
  const int slots = setup.hosts.empty() ? static_cast<int>(topology.cores.size()) : slots_of(setup.hosts);
  setup.oversubscribe = setup.n_ranks > slots;
  constexpr const char* kWays[] = {"threads of this process", "a process", "processes under mpirun", "processes under mpirun"};
  setup.choices.push_back(text(plural(static_cast<std::uint64_t>(setup.n_ranks), "rank"), " (", why, "), ",
                               kWays[static_cast<int>(setup.kind)], setup.oversubscribe ? "; more ranks than cores" : ""));
  if (setup.kind == JobKind::kMpi && ::geteuid() == 0)
    setup.choices.push_back("running as root: mpirun is told that this is meant (OMPI_ALLOW_RUN_AS_ROOT)");
  return {};
}

/// What each rank may use. Of other hosts only they know: there the ranks themselves refuse what does not fit.
std::vector<shard::RankMachine> machines_of(const engine::Topology& topology, const LaunchSetup& setup) {
  std::vector<shard::RankMachine> machines(static_cast<std::size_t>(setup.n_ranks));
  if (!setup.hosts.empty() || setup.kind == JobKind::kUnderMpi) return machines;
  const auto placement = engine::place_ranks(topology, setup.n_ranks);
  std::vector<int> cpus;  // that compute
  for (const engine::RankPlacement& place : placement) cpus.insert(cpus.end(), place.cpus.begin(), place.cpus.end());
  for (std::size_t r = 0; r < machines.size(); ++r) {
    machines[r].memory_bytes = placement[r].memory_bytes;
    machines[r].l3_bytes = engine::l3_share_bytes(topology, placement[r].cpus, cpus);
  }
  return machines;
}

std::uint64_t kv_bytes_of(const shard::Plan& plan) {
  return std::accumulate(plan.ranks.begin(), plan.ranks.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const shard::RankPlan& rank) { return sum + rank.kv_bytes; });
}

/// Tokens whose keys and values take `bytes` over all ranks: whole pages.
Result<std::uint64_t> tokens_in(std::uint64_t bytes, const LaunchSetup& setup, shard::PlanOptions plan_options) {
  const std::vector<shard::RankMachine> unlimited(static_cast<std::size_t>(setup.n_ranks));
  const auto bytes_of = [&](std::uint64_t pages) -> Result<std::uint64_t> {
    plan_options.kv_tokens = pages * engine::kPageTokens;
    COLONNADE_ASSIGN(const shard::Plan plan, shard::make_plan(setup.model.manifest.config, setup.model.manifest.paths, unlimited, plan_options));
    return kv_bytes_of(plan);
  };
  COLONNADE_ASSIGN(const std::uint64_t page_bytes, bytes_of(1));
  if (bytes < page_bytes)
    return invalid(text("--kv-memory: expected at least ", format_bytes(page_bytes), ", one page, found ", format_bytes(bytes)));
  if (setup.model.manifest.config.window_reach() == 0) return bytes / page_bytes * engine::kPageTokens;
  // Layers with windows take less than their share of a large cache, so it has more pages than those of one page suggest: up
  // to where more positions than that cannot be counted.
  std::uint64_t fits = bytes / page_bytes, too_many = std::uint64_t{1} << 26;
  while (fits + 1 < too_many) {
    const std::uint64_t middle = fits + (too_many - fits) / 2;
    COLONNADE_ASSIGN(const std::uint64_t needed, bytes_of(middle));
    (needed <= bytes ? fits : too_many) = middle;
  }
  return fits * engine::kPageTokens;
}

/// The KV cache: as asked, or as much as is useful and fits.
Status choose_kv(const engine::Topology& topology, LaunchSetup& setup) {
  const LaunchOptions& options = setup.options;
  const engine::ModelConfig& config = setup.model.manifest.config;
  const auto longest = static_cast<std::uint64_t>(config.max_context_tokens);
  const auto asked_context = static_cast<std::uint64_t>(options.context_tokens);
  if (asked_context > longest)
    return invalid(text("--context: expected at most ", longest, ", the model's own, found ", asked_context));
  const auto machines = machines_of(topology, setup);
  shard::PlanOptions plan_options;
  plan_options.n_stages = options.n_stages;
  plan_options.kv_type = options.kv_type;
  plan_options.max_step_tokens = options.max_step_tokens != 0 ? options.max_step_tokens : kDefaultStepTokens;
  // A sequence of an encoder is one step.
  if (config.encoder && options.max_step_tokens == 0)
    plan_options.max_step_tokens = std::max(plan_options.max_step_tokens, static_cast<int>(std::max(longest, asked_context)));
  std::uint64_t asked_tokens = options.kv_tokens;
  if (options.kv_bytes != 0) {
    COLONNADE_ASSIGN(asked_tokens, tokens_in(options.kv_bytes, setup, plan_options));
  }
  if (asked_tokens != 0 && asked_context > asked_tokens)
    return invalid(text("--context: expected at most ", asked_tokens, ", the KV cache, found ", asked_context));
  plan_options.kv_tokens = asked_tokens != 0 ? asked_tokens : std::max(kWishedKvTokens, asked_context);
  const auto whole_pages = [](std::uint64_t tokens) { return round_up(tokens, engine::kPageTokens); };
  const std::uint64_t fewest = whole_pages(std::max(asked_context, std::min(longest, kFewestKvTokens)));
  const char* why = options.kv_bytes != 0 ? "--kv-memory" : asked_tokens != 0 ? "--kv-tokens" : "room for several conversations";
  for (;;) {
    plan_options.kv_tokens = whole_pages(plan_options.kv_tokens);
    auto plan = shard::make_plan(config, setup.model.manifest.paths, machines, plan_options);
    if (plan.ok()) {
      setup.plan = std::move(plan).value();
      break;
    }
    const bool smaller = asked_tokens == 0 && plan.error().code == ErrorCode::kExhausted && plan_options.kv_tokens > fewest;
    if (!smaller) return plan.error();
    plan_options.kv_tokens = std::max(plan_options.kv_tokens / 2, fewest);
    why = "what the memory has room for";
  }
  setup.context_tokens = static_cast<int>(asked_context != 0 ? asked_context : std::min(longest, plan_options.kv_tokens));
  setup.worker.kv_tokens = plan_options.kv_tokens;
  setup.worker.max_step_tokens = plan_options.max_step_tokens;
  setup.choices.push_back(text("context ", setup.context_tokens, " tokens (",
                               asked_context != 0 ? "--context" : static_cast<std::uint64_t>(setup.context_tokens) == longest ? "the model's own" : "the KV cache",
                               "); KV cache ", plan_options.kv_tokens, " tokens (", why, "), ", format_bytes(kv_bytes_of(setup.plan)), " in ",
                               engine::kv_type_name(options.kv_type)));
  return {};
}

void describe_plan(LaunchSetup& setup) {
  std::uint64_t most = 0;
  std::uint64_t weights = 0;
  for (const shard::RankPlan& rank : setup.plan.ranks) {
    most = std::max(most, rank.total_bytes());
    weights += rank.weight_bytes;
  }
  const auto in_l3 = std::count_if(setup.plan.ranks.begin(), setup.plan.ranks.end(), [](const shard::RankPlan& r) { return r.in_l3; });
  setup.choices.push_back(text("plan: ", plural(setup.plan.stages.size(), "stage"), ", weights ", format_bytes(weights),
                               ", at most ", format_bytes(most), " a rank, imbalance ",
                               static_cast<int>(setup.plan.imbalance_percent * 10 + 0.5) / 10.0, " %",
                               in_l3 == 0 ? "" : text(", resident in L3 on ", plural(static_cast<std::size_t>(in_l3), "rank"))));
}

}  // namespace

Result<LaunchSetup> set_up_launch(const LaunchOptions& options) {
  LaunchSetup setup;
  setup.options = options;
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  COLONNADE_TRY(choose_ranks(topology, setup));
  COLONNADE_ASSIGN(setup.model, shard::open_model(options.model, options.values, options.cache));
  setup.choices.insert(setup.choices.begin(), text("model ", setup.model.manifest.name, " (", setup.model.manifest.config.family,
                                                   ") from ", setup.model.directory.string()));
  COLONNADE_TRY(choose_kv(topology, setup));
  describe_plan(setup);
  setup.worker.model = std::filesystem::absolute(setup.model.directory);
  setup.worker.n_stages = options.n_stages;
  setup.worker.kv_type = options.kv_type;
  setup.worker.isa = options.isa;
  setup.worker.threads = options.threads;
  setup.worker.heartbeat_timeout_s = options.heartbeat_timeout_s;
  setup.worker.step_timeout_s = options.step_timeout_s;
  if (!options.isa.empty()) COLONNADE_TRY(engine::choose_kernels(options.isa));
  return setup;
}

Result<int> planned_ranks(const LaunchOptions& options) {
  LaunchSetup setup;
  setup.options = options;
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  COLONNADE_TRY(choose_ranks(topology, setup));
  return setup.n_ranks;
}

}  // namespace colonnade::cli
