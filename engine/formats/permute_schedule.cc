#include "engine/formats/permute_schedule.h"

#include <algorithm>
#include <span>

#include "engine/base/check.h"

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

/// Own steps for the first `quota` entries of each row; the rest is shared out in pairs, the row with the most left and
/// the one with the fewest.
struct Shares {
  Lanes own, shared;
  std::array<std::uint8_t, kStripRows> donor;
  std::uint16_t kept = 0;
};

Shares share_out(const PermuteRows& rows, std::size_t quota) {
  Shares shares;
  shares.donor.fill(kNoDonor);
  std::array<std::span<const PermuteEntry>, kStripRows> rest;
  std::array<std::size_t, kStripRows> order;
  for (std::size_t r = 0; r < kStripRows; ++r) {
    const std::span<const PermuteEntry> all(rows[r]);
    const std::size_t own = std::min(quota, all.size());
    shares.own[r] = all.first(own);
    rest[r] = all.subspan(own);
    order[r] = r;
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rest[a].size() < rest[b].size(); });
  const auto keep = [&](std::size_t r) {
    shares.shared[r] = rest[r];
    if (!rest[r].empty()) shares.kept = static_cast<std::uint16_t>(shares.kept | 1u << r);
  };
  for (std::size_t i = 0; i < kStripRows / 2; ++i) {
    const std::size_t light = order[i], heavy = order[kStripRows - 1 - i];
    keep(heavy);
    if (!rest[light].empty() || rest[heavy].size() < 2) {
      keep(light);
      continue;
    }
    const std::size_t half = (rest[heavy].size() + 1) / 2;
    shares.shared[heavy] = rest[heavy].first(half);
    shares.shared[light] = rest[heavy].subspan(half);
    shares.donor[heavy] = static_cast<std::uint8_t>(light);
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
  schedule.donor = shares.donor;
  schedule.kept = shares.kept;
  add_steps(shares.own, windows, schedule.steps);
  schedule.n_own = schedule.steps.size();
  add_steps(shares.shared, windows, schedule.steps);
  COLONNADE_CHECK(schedule.steps.size() == least, "the steps that were counted are the steps that were made");
  return schedule;
}

}  // namespace colonnade::engine
