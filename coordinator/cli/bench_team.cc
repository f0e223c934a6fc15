#include "coordinator/cli/bench_team.h"

#include <algorithm>
#include <array>

#include "engine/base/aligned_buffer.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/thread_comm.h"
#include "engine/kernels/kernels.h"
#include "engine/platform/team.h"

namespace colonnade::cli {
namespace {

constexpr int kWarmUps = 200;
constexpr int kRounds = 4000;
constexpr int kBarriers = 16;  // of one run, so that its start and end do not count
// Residual streams of one token of 1024 to 8192 numbers.
constexpr std::array<std::size_t, 4> kSumBytes{4 << 10, 8 << 10, 16 << 10, 32 << 10};

/// What of kRounds rounds of `round` each took; the first ones warm up.
template <typename Round>
std::vector<double> time_rounds(Round&& round) {
  std::vector<double> seconds;
  seconds.reserve(kRounds);
  for (int i = 0; i < kWarmUps + kRounds; ++i) {
    const double took = round();
    if (i >= kWarmUps) seconds.push_back(took);
  }
  return seconds;
}

}  // namespace

JoinRow summarize(std::string what, std::size_t bytes, std::vector<double>& seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {std::move(what), bytes, seconds[seconds.size() / 2] * 1e6, seconds[seconds.size() * 99 / 100] * 1e6};
}

Result<std::vector<JoinRow>> measure_team(const std::vector<int>& cpus) {
  const int n_threads = static_cast<int>(cpus.size());
  COLONNADE_ASSIGN(const std::unique_ptr<engine::ThreadTeam> team,
                   engine::ThreadTeam::make(cpus, n_threads, wait_policy_for(n_threads).spin_us));
  COLONNADE_ASSIGN(const engine::KernelTable* const kernels, engine::choose_kernels("auto"));
  std::vector<JoinRow> rows;
  std::vector<double> seconds = time_rounds([&] {
    const double start = now_seconds();
    team->run([](int) {});
    return now_seconds() - start;
  });
  rows.push_back(summarize("team: start and end of a piece of work", 0, seconds));
  seconds = time_rounds([&] {
    double took = 0;
    team->run([&](int thread) {
      team->barrier();
      const double start = now_seconds();
      for (int i = 0; i < kBarriers; ++i) team->barrier();
      if (thread == 0) took = (now_seconds() - start) / kBarriers;
    });
    return took;
  });
  rows.push_back(summarize("team: barrier", 0, seconds));
  for (const std::size_t bytes : kSumBytes) {
    const std::size_t count = bytes / sizeof(float);
    AlignedBuffer<float> slots(count * static_cast<std::size_t>(n_threads));
    seconds = time_rounds([&] {
      // As the end of a block leaves them: each core's sums in its own caches.
      team->run([&](int thread) { std::fill_n(slots.data() + static_cast<std::size_t>(thread) * count, count, 1.0f); });
      const double start = now_seconds();
      team->run([&](int thread) {
        const Range part = part_of(count, thread, n_threads, 16);
        for (int other = 1; other < n_threads; ++other)
          kernels->add(slots.data() + part.begin, slots.data() + static_cast<std::size_t>(other) * count + part.begin, part.end - part.begin);
      });
      return now_seconds() - start;
    });
    rows.push_back(summarize("team: sum of each core's part", bytes, seconds));
  }
  return rows;
}

}  // namespace colonnade::cli
