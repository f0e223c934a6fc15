#include "engine/formats/permute_schedule.h"

#include <algorithm>
#include <span>

#include "engine/base/check.h"
#include "engine/formats/lane_shares.h"

namespace colonnade::engine {
namespace {

using Lanes = std::array<std::span<const PermuteEntry>, kStripRows>;

/// Walks the windows over the lanes' entries: each begins at the first column that is left, and every lane puts its next
/// entries in, as far as they lie inside. Calls step(base, taken) with how many each lane has put in.
template <typename Step>
void walk(Lanes lanes, const PermuteWindows& windows, Step&& step) {
  for (;;) {
    std::size_t first = kWideGroup;
    for (const auto& lane : lanes)
      if (!lane.empty()) first = std::min<std::size_t>(first, lane[0].column);
    if (first == kWideGroup) return;
    const std::size_t base = std::min(first / windows.unit * windows.unit, kWideGroup - windows.columns);
    std::array<std::size_t, kStripRows> taken{};
    for (std::size_t l = 0; l < kStripRows; ++l) {
      const std::size_t most = std::min<std::size_t>(kPermuteEntries, lanes[l].size());
      while (taken[l] < most && lanes[l][taken[l]].column < base + windows.columns) ++taken[l];
    }
    step(base, lanes, taken);
    for (std::size_t l = 0; l < kStripRows; ++l) lanes[l] = lanes[l].subspan(taken[l]);
  }
}

std::size_t count_steps(const Lanes& lanes, const PermuteWindows& windows) {
  std::size_t steps = 0;
  walk(lanes, windows, [&](std::size_t, const Lanes&, const auto&) { ++steps; });
  return steps;
}

/// The entries of each lane in its own steps and in its shared ones.
struct Shares {
  Lanes own, shared;
  LaneShares lanes;
};

Shares share_out(const PermuteRows& rows, std::size_t quota) {
  std::array<std::size_t, kStripRows> counts;
  for (std::size_t r = 0; r < kStripRows; ++r) counts[r] = rows[r].size();
  Shares shares;
  shares.lanes = share_lanes(counts, quota);
  const auto entries = [&](const LaneShares::Part& part) { return std::span<const PermuteEntry>(rows[part.row]).subspan(part.begin, part.size()); };
  for (std::size_t l = 0; l < kStripRows; ++l) {
    shares.own[l] = entries(shares.lanes.own[l]);
    shares.shared[l] = entries(shares.lanes.shared[l]);
  }
  return shares;
}

void add_steps(const Lanes& lanes, const PermuteWindows& windows, std::vector<PermuteStep>& steps) {
  walk(lanes, windows, [&](std::size_t base, const Lanes& left, const auto& taken) {
    PermuteStep step{};
    step.base = static_cast<std::uint8_t>(base / kPermuteBaseUnit);
    for (std::size_t l = 0; l < kStripRows; ++l) {
      step.n_entries[l] = static_cast<std::uint8_t>(taken[l]);
      for (std::size_t i = 0; i < taken[l]; ++i) {
        step.indices[l * kPermuteEntries + i] = static_cast<std::uint8_t>(left[l][i].column - base);
        step.values[l * kPermuteEntries + i] = left[l][i].value;
      }
    }
    steps.push_back(step);
  });
}

}  // namespace

PermuteSchedule schedule_group(const PermuteRows& rows, const PermuteWindows& windows) {
  std::size_t total = 0, most = 0;
  for (const auto& row : rows) {
    total += row.size();
    most = std::max(most, row.size());
  }
  // All steps own, against shares that begin somewhere between the mean row and the longest.
  std::size_t best_quota = most;
  std::size_t least = count_steps(share_out(rows, most).own, windows);
  const std::size_t mean_steps = total / kPermuteStep;
  for (std::size_t steps = mean_steps > 1 ? mean_steps - 1 : 0; steps * kPermuteEntries < most; ++steps) {
    const Shares shares = share_out(rows, steps * kPermuteEntries);
    const std::size_t count = count_steps(shares.own, windows) + count_steps(shares.shared, windows);
    if (count >= least) continue;
    least = count;
    best_quota = steps * kPermuteEntries;
  }
  const Shares shares = share_out(rows, best_quota);
  PermuteSchedule schedule;
  schedule.donor = shares.lanes.donor;
  schedule.kept = shares.lanes.kept;
  add_steps(shares.own, windows, schedule.steps);
  schedule.n_own = schedule.steps.size();
  add_steps(shares.shared, windows, schedule.steps);
  COLONNADE_CHECK(schedule.steps.size() == least, "the steps that were counted are the steps that were made");
  return schedule;
}

}  // namespace colonnade::engine
