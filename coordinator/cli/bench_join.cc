#include "coordinator/cli/bench_join.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/comm.h"
#include "engine/base/thread_comm.h"
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

struct Timing {
  double median_us = 0;
  double p99_us = 0;
};

Timing summarize(std::vector<double>& seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2] * 1e6, seconds[seconds.size() * 99 / 100] * 1e6};
}

/// Rounds that take about kSecondsEach, agreed on by all: rank 0's measure of the first ones decides.
Result<int> agree_rounds(Join& join, double seconds_one) {
  const int wanted = std::clamp(static_cast<int>(kSecondsEach / std::max(seconds_one, 1e-9)), 20, kMaxRounds);
  std::vector<int> all(static_cast<std::size_t>(join.size()));
  COLONNADE_TRY(join.all_gather(&wanted, sizeof wanted, all.data()));
  return all[0];
}

Result<Timing> time_join(Join& join, std::size_t bytes) {
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
  return summarize(seconds);
}

/// There and back between ranks 0 and 1, halved; ranks answer as soon as they hear.
Result<Timing> time_message(Communicator& comm, std::size_t bytes) {
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
  return seconds.empty() ? Timing{} : summarize(seconds);
}

Status measure(Communicator& comm) {
  const bool prints = comm.rank() == 0;
  std::vector<int> everybody;
  for (int rank = 0; rank < comm.size(); ++rank) everybody.push_back(rank);
  COLONNADE_ASSIGN(const std::unique_ptr<Join> join, comm.make_join(everybody, kJoinBytes.back() / sizeof(float)));
  if (prints) std::printf("%d ranks, %s\n\n| what | bytes | median us | 99 %% us | GB/s of sums |\n| --- | ---: | ---: | ---: | ---: |\n", comm.size(), comm.transport().c_str());
  for (const std::size_t bytes : kJoinBytes) {
    COLONNADE_ASSIGN(const Timing timing, time_join(*join, bytes));
    if (prints)
      std::printf("| join | %zu | %.1f | %.1f | %.2f |\n", bytes, timing.median_us, timing.p99_us,
                  static_cast<double>(bytes) / timing.median_us * 1e-3);
  }
  for (const std::size_t bytes : kMessageBytes) {
    if (comm.size() < 2) break;
    COLONNADE_ASSIGN(const Timing timing, time_message(comm, bytes));
    if (prints) std::printf("| message | %zu | %.1f | %.1f | |\n", bytes, timing.median_us, timing.p99_us);
    SerialParallel serial;
    float nothing = 0;
    COLONNADE_TRY(join->reduce(&nothing, 0, serial));  // the others wait here
  }
  return {};
}

Status bench_threads(int n_ranks) {
  ThreadJob job(n_ranks);
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::optional<Error> error;
  for (int rank = 0; rank < n_ranks; ++rank)
    threads.emplace_back([&, rank] {
      const Status done = measure(job.comm(rank));
      if (done.ok()) return;
      const std::lock_guard lock(mutex);
      if (!error) error = done.error();
      job.end();
    });
  for (std::thread& thread : threads) thread.join();
  if (error) return *error;
  return {};
}

}  // namespace

Status bench_join(int n_ranks) {
  const auto launched = worker::launched_rank();
  if (!launched || launched->size == 1) return bench_threads(n_ranks);
  worker::MpiOptions how;
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  for (const engine::CoreInfo& core : topology.cores) how.cpus.push_back(core.cpus.front());
  COLONNADE_ASSIGN(const std::unique_ptr<worker::MpiSession> session, worker::MpiSession::start());
  COLONNADE_ASSIGN(Communicator* const comm, session->connect(how));
  COLONNADE_TRY(measure(*comm));
  return session->finish();
}

}  // namespace colonnade::cli
