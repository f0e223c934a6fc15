// Bytes of what a plan hands out. Part of make_plan (shard/plan.h).
#pragma once

#include <cstdint>
#include <vector>

#include "shard/plan.h"

namespace colonnade::shard {

/// KV cache of one KV head, by layer: those with windows may need fewer pages (engine/model/window_pages.h). The layers of
/// an encoder that a rank has use the same memory one after the other.
std::vector<std::uint64_t> kv_head_bytes(const engine::ModelConfig& config, const PlanOptions& options);

/// Of the path's blob, what the assignment needs.
std::uint64_t assignment_bytes(const PathSpec& path, const Assignment& assignment);

/// Of a path's bytes, those of a router whose scores are exchanged by `n_ranks` ranks, each reading its share.
std::uint64_t shared_router_bytes(const engine::ModelConfig& config, const PathSpec& path, std::size_t n_ranks);

/// Part of the path's bytes that one token reads. `is_head`: the path serves (also) as the output head.
double read_share(const engine::ModelConfig& config, const PathSpec& path, bool is_head);

}  // namespace colonnade::shard
