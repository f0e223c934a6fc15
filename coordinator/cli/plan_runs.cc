#include "coordinator/cli/plan_runs.h"

#include "engine/base/format_text.h"

namespace colonnade::cli {

using shard::PathKind;
using shard::PathSpec;

std::string range_text(const char* thing, int first, int last) {
  if (first == last) return text(thing, " ", first);
  return text(thing, "s ", first, "-", last);
}

std::vector<PlanRun> plan_runs(const std::vector<PathSpec>& paths, const shard::RankPlan& rank) {
  std::vector<PlanRun> runs;
  for (const shard::Assignment& a : rank.paths) {
    const PathSpec& path = paths[a.path];
    if (path.kind == PathKind::kReplicated) continue;
    if (runs.empty() || runs.back().kind != path.kind || runs.back().layer != path.layer)
      runs.push_back({.kind = path.kind, .layer = path.layer, .first_path = a.path, .first_head = path.first + a.first_head});
    runs.back().last_path = a.path;
    runs.back().last_head = path.first + a.first_head + a.n_heads - 1;
  }
  return runs;
}

std::string run_title(const PlanRun& run, const std::vector<PathSpec>& paths, bool several_experts) {
  const PathSpec &first = paths[run.first_path], &last = paths[run.last_path];
  const int end = last.first + last.count - 1;
  switch (run.kind) {
    case PathKind::kAttention: return range_text("head", run.first_head, run.last_head);
    case PathKind::kFeedForward: {
      if (!several_experts) return range_text("neuron", first.first, end);
      const std::string neurons = range_text("neuron", first.first, first.first + first.count - 1);
      if (first.index == last.index) return text(neurons, " of ", range_text("expert", first.expert, last.expert));
      return text(neurons, " of expert ", first.expert, " to ", last.first, "-", end, " of expert ", last.expert);
    }
    case PathKind::kLatent: return range_text("latent path", first.index, last.index);
    case PathKind::kSharedExpert: return text(range_text("neuron", first.first, end), " of the shared expert");
    default: return range_text("token", first.first, end);
  }
}

}  // namespace colonnade::cli
