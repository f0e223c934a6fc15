// How long a step takes on machines that may not be there, and what that time is spent on. A pure function of (model, plan,
// rates of the machines, cost table, step); docs/deploy.md says how near it comes.
//
// Every block of a layer ends when its slowest rank is done: a rank needs for its matrices what the larger of their bytes over
// its bandwidth and of their kernels' instructions over its cores is, a little more where both are near; then keys and values,
// what is small, and the join. Which experts tokens choose is drawn at random, the same draws for every call.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>

#include "engine/kernels/kernels.h"
#include "engine/model/config.h"
#include "shard/cluster.h"
#include "shard/format_costs.h"
#include "shard/paths.h"
#include "shard/plan.h"

namespace colonnade::shard {

/// What the time of a step goes to. Of the slowest rank only as much as the mean rank needs counts as the first four; the
/// rest of its time is kImbalance.
enum class StepPart { kMemory, kKernels, kContext, kSmallWork, kImbalance, kJoins, kHead };
inline constexpr std::size_t kStepParts = 7;
/// "memory bandwidth", …
const char* step_part_name(StepPart part);

struct StepShape {
  int n_sequences = 1;
  int tokens_each = 1;     // new ones: 1 for each token of an answer, many of a prompt
  int context_tokens = 0;  // of each sequence, before these
};

struct StepPrediction {
  double seconds = 0;
  std::array<double, kStepParts> part_seconds{};  // adds up to `seconds`
  double weight_bytes = 0;                        // that all ranks together read, with the head
  double experts_touched = 0;                     // of a layer with a router, on average

  StepPart bound() const;  // the largest part
  double part_of(StepPart part) const { return seconds > 0 ? part_seconds[static_cast<std::size_t>(part)] / seconds : 0; }
};

/// Refers to what its maker owns.
struct PredictionInput {
  const engine::ModelConfig& config;  // no encoder
  std::span<const PathSpec> paths;
  const Plan& plan;
  engine::KvType kv_type;
  const Cluster& cluster;             // a rank for each of the plan's
  const FormatCosts& costs;
  std::string isa;                    // a name of the cost table
};

/// One row of logits for each sequence.
StepPrediction predict_step(const PredictionInput& input, const StepShape& step);

/// Of a join of `floats` numbers between these ranks.
double join_seconds(const Cluster& cluster, std::span<const int> ranks, double floats);

}  // namespace colonnade::shard
