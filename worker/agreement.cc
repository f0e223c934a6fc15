#include "worker/agreement.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <type_traits>

#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "engine/kernels/kernels.h"
#include "engine/model/window_pages.h"

namespace colonnade::worker {
namespace {

using Bytes = std::vector<std::byte>;

/// Appends plain values; ranks of a job are the same build on the same kind of machine.
class Writer {
 public:
  template <typename T>
  void value(const T& item) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = std::as_bytes(std::span(&item, 1));
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  template <typename Items>
  void list(const Items& items) {
    value(static_cast<std::uint64_t>(items.size()));
    for (const auto& item : items) value(item);
  }
  Bytes take() { return std::move(out_); }

 private:
  Bytes out_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <typename T>
  void value(T& item) {
    if (bytes_.size() < sizeof item) {
      short_ = true;
      return;
    }
    std::memcpy(&item, bytes_.data(), sizeof item);
    bytes_ = bytes_.subspan(sizeof item);
  }
  template <typename Items>
  void list(Items& items) {
    std::uint64_t count = 0;
    value(count);
    items.clear();
    for (std::uint64_t i = 0; i < count && !short_; ++i) {
      typename Items::value_type item{};
      value(item);
      items.push_back(item);
    }
  }
  Status end(const char* what) const {
    if (!short_ && bytes_.empty()) return {};
    return Error{ErrorCode::kCorrupt, text("set-up message \"", what, "\" has a wrong size: different builds?")};
  }

 private:
  std::span<const std::byte> bytes_;
  bool short_ = false;
};

/// What rank 0 decides for all.
Bytes write_options(const WorkerOptions& options) {
  Writer out;
  out.value(options.n_stages);
  out.value(options.kv_type);
  out.value(options.kv_tokens);
  out.value(options.max_step_tokens);
  out.list(options.speeds);
  return out.take();
}

Status read_options(const Bytes& bytes, WorkerOptions& options) {
  Reader in(bytes);
  in.value(options.n_stages);
  in.value(options.kv_type);
  in.value(options.kv_tokens);
  in.value(options.max_step_tokens);
  in.list(options.speeds);
  return in.end("options");
}

std::uint64_t fingerprint(const shard::Manifest& manifest) {
  // FNV-1a over all checksums: equal for equal weights, wherever they lie.
  std::uint64_t hash = 14695981039346656037ull;
  for (const shard::PathSpec& path : manifest.paths)
    for (const std::uint64_t value : {path.checksum, path.bytes}) hash = (hash ^ value) * 1099511628211ull;
  return hash;
}

/// Every rank's bytes on every rank.
Result<std::vector<Bytes>> exchange(Communicator& comm, Heartbeat& heartbeat, Bytes own) {
  std::vector<Bytes> all(static_cast<std::size_t>(comm.size()));
  if (comm.rank() != 0) {
    COLONNADE_TRY(comm.send(0, Channel::kSetup, own));
    for (Bytes& bytes : all) COLONNADE_TRY(receive_alive(comm, heartbeat, 0, Channel::kSetup, bytes));
    return all;
  }
  all[0] = std::move(own);
  for (int rank = 1; rank < comm.size(); ++rank)
    COLONNADE_TRY(receive_alive(comm, heartbeat, rank, Channel::kSetup, all[static_cast<std::size_t>(rank)]));
  for (int rank = 1; rank < comm.size(); ++rank)
    for (const Bytes& bytes : all) COLONNADE_TRY(comm.send(rank, Channel::kSetup, bytes));
  return all;
}

/// The cores of this rank: ranks of a host tell one another what each was granted, so that shares never overlap.
Status place(Communicator& comm, Heartbeat& heartbeat, Agreement& agreement) {
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  Writer own;
  own.list(engine::granted_cpus(topology));
  COLONNADE_ASSIGN(const std::vector<Bytes> all, exchange(comm, heartbeat, own.take()));
  std::vector<std::vector<int>> granted;
  int index = 0;
  for (const int mate : comm.host_mates()) {
    if (mate == comm.rank()) index = static_cast<int>(granted.size());
    Reader in(all[static_cast<std::size_t>(mate)]);
    in.list(granted.emplace_back());
    COLONNADE_TRY(in.end("CPUs"));
  }
  agreement.placement = engine::place_among(topology, granted, index);
  engine::RankPlacement& placement = agreement.placement;
  const int asked = agreement.options.threads;
  agreement.n_threads = asked > 0 ? asked : static_cast<int>(placement.cpus.size());
  if (asked > 0 && static_cast<std::size_t>(asked) < placement.cpus.size())
    placement.cpus.resize(static_cast<std::size_t>(asked));
  agreement.shares_cores =
      static_cast<std::size_t>(agreement.n_threads) > placement.cpus.size() || !placement.warning.empty();
  return {};
}

/// The ranks as the plan sees them. All must have the same model.
Result<std::vector<shard::RankMachine>> exchange_machines(Communicator& comm, Heartbeat& heartbeat,
                                                          const Agreement& agreement) {
  const std::uint64_t model = fingerprint(agreement.manifest);
  Writer own;
  own.value(model);
  own.value(agreement.placement.memory_bytes);
  COLONNADE_ASSIGN(const std::vector<Bytes> all, exchange(comm, heartbeat, own.take()));
  const WorkerOptions& options = agreement.options;
  if (!options.speeds.empty() && options.speeds.size() != all.size())
    return Error{ErrorCode::kInvalidArgument,
                 text("speeds: expected one for each of ", all.size(), " ranks, found ", options.speeds.size())};
  std::vector<shard::RankMachine> machines;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    std::uint64_t its_model = 0;
    shard::RankMachine machine;
    Reader in(all[rank]);
    in.value(its_model);
    in.value(machine.memory_bytes);
    COLONNADE_TRY(in.end("machine"));
    if (its_model != model)
      return Error{ErrorCode::kCorrupt, text("rank ", comm.rank(), " and rank ", rank, " find different models in ",
                                             options.model.string(), ": all hosts need the same files")};
    if (!options.speeds.empty()) machine.speed = options.speeds[rank];
    machines.push_back(machine);
  }
  return machines;
}

}  // namespace

std::vector<std::vector<int>> Agreement::stage_ranks() const {
  std::vector<std::vector<int>> ranks;
  for (const shard::StagePlan& stage : plan.stages) ranks.push_back(stage.ranks);
  return ranks;
}

std::string Agreement::summary() const {
  std::uint64_t most = 0;
  for (const shard::RankPlan& rank : plan.ranks) most = std::max(most, rank.total_bytes());
  return text(plan.ranks.size(), plan.ranks.size() == 1 ? " rank, " : " ranks, ", plan.stages.size(),
              plan.stages.size() == 1 ? " stage, " : " stages, ", "at most ", format_bytes(most), " a rank, imbalance ",
              static_cast<double>(static_cast<int>(plan.imbalance_percent * 10 + 0.5)) / 10, " %");
}

Status receive_alive(Communicator& comm, Heartbeat& heartbeat, int from, Channel channel, Bytes& out,
                     const std::function<void()>& idle) {
  // Idle work reports progress, so it is called a few times a second.
  constexpr std::int64_t kIdleUs = 100'000;
  for (;;) {
    COLONNADE_ASSIGN(const bool came, comm.try_receive(from, channel, out));
    if (came) return {};
    if (idle) idle();
    COLONNADE_TRY(heartbeat.beat());
    comm.wait(idle ? std::min(heartbeat.next_us(), kIdleUs) : heartbeat.next_us());
  }
}

Status meet_all(Communicator& comm, Heartbeat& heartbeat, const std::function<void()>& idle) {
  Bytes bytes;
  if (comm.rank() != 0) {
    COLONNADE_TRY(comm.send(0, Channel::kSetup, {}));
    return receive_alive(comm, heartbeat, 0, Channel::kSetup, bytes, idle);
  }
  for (int rank = 1; rank < comm.size(); ++rank)
    COLONNADE_TRY(receive_alive(comm, heartbeat, rank, Channel::kSetup, bytes, idle));
  for (int rank = 1; rank < comm.size(); ++rank) COLONNADE_TRY(comm.send(rank, Channel::kSetup, {}));
  return {};
}

Result<Agreement> agree(Communicator& comm, const WorkerOptions& options, Heartbeat& heartbeat) {
  Agreement agreement;
  agreement.options = options;
  if (comm.rank() == 0) {
    const Bytes bytes = write_options(options);
    for (int rank = 1; rank < comm.size(); ++rank) COLONNADE_TRY(comm.send(rank, Channel::kSetup, bytes));
  } else {
    Bytes bytes;
    COLONNADE_TRY(receive_alive(comm, heartbeat, 0, Channel::kSetup, bytes));
    COLONNADE_TRY(read_options(bytes, agreement.options));
  }
  COLONNADE_ASSIGN(agreement.manifest, shard::read_manifest(agreement.options.model));
  COLONNADE_TRY(place(comm, heartbeat, agreement));
  COLONNADE_ASSIGN(const std::vector<shard::RankMachine> machines, exchange_machines(comm, heartbeat, agreement));
  const WorkerOptions& chosen = agreement.options;
  agreement.n_pages = static_cast<int>(div_up(chosen.kv_tokens, engine::kPageTokens));
  agreement.n_window_pages = engine::window_pages(agreement.manifest.config, agreement.n_pages, chosen.max_step_tokens);
  const shard::PlanOptions plan_options{.n_stages = chosen.n_stages,
                                        .kv_tokens = chosen.kv_tokens,
                                        .kv_type = chosen.kv_type,
                                        .max_step_tokens = chosen.max_step_tokens};
  COLONNADE_ASSIGN(agreement.plan,
                   shard::make_plan(agreement.manifest.config, agreement.manifest.paths, machines, plan_options));
  return agreement;
}

}  // namespace colonnade::worker
