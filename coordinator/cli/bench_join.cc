#include "coordinator/cli/bench_join.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "coordinator/cli/bench_team.h"
#include "engine/base/clock.h"
#include "engine/base/comm.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/thread_comm.h"
#include "engine/platform/team.h"
#include "engine/platform/topology.h"
#include "worker/comm_mpi.h"
#include "worker/mpi_job.h"

namespace colonnade::cli {
namespace {

constexpr double kSecondsEach = 0.4;
constexpr int kWarmUps = 50;
constexpr int kMaxRounds = 20'000;
// Residual streams of one token of common widths, and of a chunk of a prompt.
constexpr std::array<std::size_t, 7> kJoinBytes{0, 4 << 10, 8 << 10, 16 << 10, 64 << 10, 1 << 20, 4 << 20};
constexpr std::array<std::size_t, 4> kMessageBytes{8, 1 << 10, 16 << 10, 1 << 20};

void print_rows(const std::vector<JoinRow>& rows, const std::string& title, const std::string& format) {
  if (format == "json") {
    OrderedJson all = OrderedJson::array();
    for (const JoinRow& row : rows)
      all.push_back({{"what", row.what}, {"bytes", row.bytes}, {"median_us", row.median_us}, {"p99_us", row.p99_us}});
    std::printf("%s\n", OrderedJson{{"ranks", title}, {"rows", all}}.dump(1).c_str());
    return;
  }
  const bool csv = format == "csv";
  if (csv) std::printf("what,bytes,median_us,p99_us\n");
  else std::printf("%s\n\n| what | bytes | median us | 99 %% us |\n| --- | ---: | ---: | ---: |\n", title.c_str());
  for (const JoinRow& row : rows)
    std::printf(csv ? "%s,%zu,%.2f,%.2f\n" : "| %s | %zu | %.1f | %.1f |\n", row.what.c_str(), row.bytes, row.median_us, row.p99_us);
}

/// Rounds that take about kSecondsEach, agreed on by all: rank 0's measure of the first ones decides.
Result<int> agree_rounds(Join& join, double seconds_one) {
  const int wanted = std::clamp(static_cast<int>(kSecondsEach / std::max(seconds_one, 1e-9)), 20, kMaxRounds);
  std::vector<int> all(static_cast<std::size_t>(join.size()));
  COLONNADE_TRY(join.all_gather(&wanted, sizeof wanted, all.data()));
  return all[0];
}

Result<JoinRow> time_join(Join& join, std::size_t bytes) {
  const std::size_t count = bytes / sizeof(float);
  SerialParallel serial;
  std::vector<float> x(count + 1);
  const auto round = [&]() -> Result<double> {
    std::fill_n(join.contribution(), count, 1.0f);  // as the end of a block does: the lines are this core's
    const double start = now_seconds();
    COLONNADE_TRY(join.reduce(x.data(), count, serial));
    return now_seconds() - start;
  };
  double warm = 0;
  for (int i = 0; i < kWarmUps; ++i) {
    COLONNADE_ASSIGN(const double seconds, round());
    warm += seconds;
  }
  COLONNADE_ASSIGN(const int rounds, agree_rounds(join, warm / kWarmUps));
  std::vector<double> seconds;
  for (int i = 0; i < rounds; ++i) {
    COLONNADE_ASSIGN(const double one, round());
    seconds.push_back(one);
  }
  return summarize("join of ranks", bytes, seconds);
}

/// There and back between ranks 0 and 1, halved; ranks answer as soon as they hear.
Result<JoinRow> time_message(Communicator& comm, std::size_t bytes) {
  std::vector<std::byte> message(bytes);
  std::vector<double> seconds;
  constexpr int kRounds = 500;
  for (int i = 0; comm.rank() < 2 && i < kWarmUps + kRounds; ++i) {
    const double start = now_seconds();
    if (comm.rank() == 0) COLONNADE_TRY(comm.send(1, Channel::kActivations, message));
    COLONNADE_TRY(comm.receive(1 - comm.rank(), Channel::kActivations, message, 10'000'000));
    if (comm.rank() == 1) COLONNADE_TRY(comm.send(0, Channel::kActivations, message));
    if (i >= kWarmUps) seconds.push_back((now_seconds() - start) / 2);
  }
  return seconds.empty() ? JoinRow{} : summarize("message between ranks 0 and 1", bytes, seconds);
}

/// The rows are rank 0's.
Result<std::vector<JoinRow>> measure(Communicator& comm) {
  std::vector<JoinRow> rows;
  std::vector<int> everybody;
  for (int rank = 0; rank < comm.size(); ++rank) everybody.push_back(rank);
  COLONNADE_ASSIGN(const std::unique_ptr<Join> join, comm.make_join(everybody, kJoinBytes.back() / sizeof(float)));
  for (const std::size_t bytes : kJoinBytes) {
    COLONNADE_ASSIGN(JoinRow row, time_join(*join, bytes));
    rows.push_back(std::move(row));
  }
  for (const std::size_t bytes : kMessageBytes) {
    if (comm.size() < 2) break;
    COLONNADE_ASSIGN(JoinRow row, time_message(comm, bytes));
    rows.push_back(std::move(row));
    SerialParallel serial;
    float nothing = 0;
    COLONNADE_TRY(join->reduce(&nothing, 0, serial));  // the others wait here
  }
  return rows;
}

std::string title_of(const Communicator& comm) { return text(comm.size(), comm.size() == 1 ? " rank, " : " ranks, ", comm.transport()); }

Status bench_threads(int n_ranks, const std::string& format) {
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  const std::vector<int> cpus = engine::place_ranks(topology, 1)[0].cpus;
  std::vector<JoinRow> rows;
  std::optional<Error> error;
  std::mutex mutex;
  // A thread of its own, because a team pins its caller.
  std::thread([&] {
    auto measured = measure_team(cpus);
    if (measured.ok()) rows = *std::move(measured);
    else error = measured.error();
  }).join();
  if (error) return *error;
  ThreadJob job(n_ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < n_ranks; ++rank)
    threads.emplace_back([&, rank] {
      // A team of one pins its caller, as a rank's threads are.
      const std::vector<int> own = {cpus[static_cast<std::size_t>(rank) % cpus.size()]};
      const auto pinned = engine::ThreadTeam::make(static_cast<std::size_t>(n_ranks) <= cpus.size() ? own : std::vector<int>{}, 1, 0);
      const auto measured = measure(job.comm(rank));
      const std::lock_guard lock(mutex);
      if (measured.ok() && rank == 0) rows.insert(rows.end(), measured->begin(), measured->end());
      if (measured.ok()) return;
      if (!error) error = measured.error();
      job.end();
    });
  for (std::thread& thread : threads) thread.join();
  if (error) return *error;
  print_rows(rows, text("a team of ", cpus.size(), cpus.size() == 1 ? " thread; " : " threads; ", title_of(job.comm(0))), format);
  return {};
}

}  // namespace

Status bench_join(int n_ranks, const std::string& format) {
  const auto launched = worker::launched_rank();
  if (!launched || launched->size == 1) return bench_threads(n_ranks, format);
  worker::MpiOptions how;
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  for (const engine::CoreInfo& core : topology.cores) how.cpus.push_back(core.cpus.front());
  COLONNADE_ASSIGN(const std::unique_ptr<worker::MpiSession> session, worker::MpiSession::start());
  COLONNADE_ASSIGN(Communicator* const comm, session->connect(how));
  COLONNADE_ASSIGN(const std::vector<JoinRow> rows, measure(*comm));
  if (comm->rank() == 0) print_rows(rows, title_of(*comm), format);
  return session->finish();
}

}  // namespace colonnade::cli
