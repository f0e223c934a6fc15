// The plan: which path goes to which stage and rank. A pure function of (model, machines, options): the same input
// gives the same plan on every rank, so nobody has to send it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/kernels/kv_block.h"
#include "engine/model/config.h"
#include "shard/paths.h"

namespace colonnade::shard {

/// What a rank runs on.
struct RankMachine {
  double speed = 1.0;              // relative bytes a second
  std::uint64_t memory_bytes = 0;  // what it may use; 0: not limited
  std::uint64_t l3_bytes = 0;      // of its cores; 0: not known
};

struct PlanOptions {
  int n_stages = 1;
  std::uint64_t kv_tokens = 4096;     // KV cache to reserve, in tokens over all sequences
  engine::KvType kv_type = engine::KvType::kBf16;
  int max_step_tokens = 512;          // for the activation buffers
};

/// A path held by a rank. Attention paths may be shared by groups of query heads (ModelConfig::output_heads) where ranks outnumber them.
struct Assignment {
  std::uint32_t path = 0;   // index into the path list
  int first_head = 0;       // query heads [first_head, first_head + n_heads) of the path, whole groups; attention only
  int n_heads = 0;
};

struct RankPlan {
  int stage = 0;
  std::vector<Assignment> paths = {};  // ascending path; replicated ones included
  std::uint64_t weight_bytes = 0;     // of all assignments
  std::uint64_t replicated_bytes = 0; // the part that other ranks hold too
  std::uint64_t kv_bytes = 0;
  std::uint64_t buffer_bytes = 0;     // activations, joins
  double step_bytes = 0;              // bytes read for one token, experts by their share
  std::uint64_t hot_bytes = 0;        // weights that steps read whole: all but an embedding that is only looked up
  bool in_l3 = false;                 // hot_bytes fit the L3 of its cores, where they stay from step to step
  std::uint64_t total_bytes() const { return weight_bytes + kv_bytes + buffer_bytes; }
};

struct StagePlan {
  int first_layer = 0;
  int n_layers = 0;
  std::vector<int> ranks = {};  // ascending
};

struct Plan {
  std::vector<StagePlan> stages;
  std::vector<RankPlan> ranks;
  double imbalance_percent = 0;  // slowest rank over the mean, per stage, worst stage
};

/// Hands out contiguous runs of each block's paths by weight (bytes over speed). kInvalidArgument for impossible
/// counts (stages > layers or > ranks); kExhausted, with the numbers, when a rank's share does not fit its memory.
Result<Plan> make_plan(const engine::ModelConfig& config, std::span<const PathSpec> paths,
                       std::span<const RankMachine> machines, const PlanOptions& options);

/// Activation and join buffers of one rank: a bound that holds for a rank alone, on up to 32 cores.
std::uint64_t activation_buffer_bytes(const engine::ModelConfig& config, int max_step_tokens);

}  // namespace colonnade::shard
