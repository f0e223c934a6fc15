// Cutting a model into stages: consecutive layers for consecutive ranks. Part of make_plan (shard/plan.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shard/plan.h"

namespace colonnade::shard {

/// What a layer asks of the ranks that hold it. The first layer carries the embedding, the last one the head.
struct LayerLoad {
  double work = 0;          // any unit; relative to the speed of ranks
  double memory_bytes = 0;  // weights and KV cache
};

/// Layers [first_layer, first_layer + n_layers) on ranks [first_rank, first_rank + n_ranks).
struct StageCut {
  int first_layer = 0;
  int n_layers = 0;
  int first_rank = 0;
  int n_ranks = 0;
};

/// The cut with the most even work over speed, slow stages counting far more than fast ones; cuts whose memory does
/// not fit are taken only when there is no other. `rank_bytes` is what each rank needs besides layers. At least one
/// layer and one rank a stage; n_stages is at most the number of either. Deterministic.
std::vector<StageCut> cut_stages(std::span<const LayerLoad> layers, std::span<const RankMachine> machines,
                                 std::uint64_t rank_bytes, int n_stages);

}  // namespace colonnade::shard
