// A plan as runs: what one rank holds of each block, from first to last.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shard/plan.h"

namespace colonnade::cli {

/// A rank's run of one block: paths [first_path, last_path] of the list; of attention, query heads of the model.
struct PlanRun {
  shard::PathKind kind = shard::PathKind::kReplicated;
  int layer = 0;
  std::uint32_t first_path = 0;
  std::uint32_t last_path = 0;
  int first_head = 0;
  int last_head = 0;

  std::uint32_t n_paths() const { return last_path - first_path + 1; }
};

/// "layer 3" or "layers 3-5".
std::string range_text(const char* thing, int first, int last);

/// In plan order; replicated paths left out.
std::vector<PlanRun> plan_runs(const std::vector<shard::PathSpec>& paths, const shard::RankPlan& rank);

/// "heads 0-5", "neurons 0-2815", "neurons 0-255 of experts 3-9", "neurons 0-255 of expert 3 to 256-511 of expert 63", "tokens 0-8191".
std::string run_title(const PlanRun& run, const std::vector<shard::PathSpec>& paths, bool several_experts);

}  // namespace colonnade::cli
