#include "shard/prune/calibration_batch.h"

#include <algorithm>

namespace colonnade::shard {
namespace {

/// Tokens of a step: enough that weights are read once for many, and the buffers of a step stay small.
constexpr std::size_t kStepTokens = 512;

std::size_t count_tokens(const std::vector<std::vector<std::int32_t>>& windows) {
  std::size_t count = 0;
  for (const auto& window : windows) count += window.size();
  return count;
}

std::vector<CalibrationUnit> split_units(const std::vector<std::vector<std::int32_t>>& windows, std::size_t step_tokens) {
  std::vector<CalibrationUnit> units;
  for (std::size_t w = 0; w < windows.size();) {
    const std::size_t first = w;
    std::size_t tokens = windows[w++].size();
    while (w < windows.size() && tokens + windows[w].size() <= step_tokens) tokens += windows[w++].size();
    units.push_back({first, w - first});
  }
  return units;
}

}  // namespace

std::size_t CalibrationBatch::n_tokens() const { return count_tokens(windows); }

std::size_t calibration_step_tokens(std::size_t n_tokens) { return std::min(kStepTokens, std::max<std::size_t>(1, n_tokens)); }

CalibrationBatch make_batch(const std::vector<std::vector<std::int32_t>>& windows, int rank, int n_ranks) {
  CalibrationBatch batch;
  batch.step_tokens = calibration_step_tokens(count_tokens(windows));
  const auto units = split_units(windows, batch.step_tokens);
  batch.n_units = units.size();
  std::size_t rows = 0;
  for (auto u = static_cast<std::size_t>(rank); u < units.size(); u += static_cast<std::size_t>(n_ranks)) {
    batch.units.push_back({batch.windows.size(), units[u].n_windows});
    for (std::size_t w = 0; w < units[u].n_windows; ++w) {
      batch.windows.push_back(windows[units[u].first_window + w]);
      batch.first_row.push_back(rows);
      rows += batch.windows.back().size();
    }
  }
  return batch;
}

}  // namespace colonnade::shard
