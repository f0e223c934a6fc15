// From a router's scores of one token to its experts and their weights (RouterConfig says how). Pure, so thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "engine/kernels/kernels.h"
#include "engine/model/config.h"

namespace colonnade::engine {

/// `scores` has a logit for each expert and is overwritten; `bias` has one number for each expert, or is nullptr
/// without correction_bias; `worth` is room for as many. Writes the experts chosen (ties: the lower one), ascending, as
/// many as `chosen` has room for, and their weights. A score that is not a number counts as the lowest.
void choose_experts(const KernelTable& kernels, const RouterConfig& router, std::span<float> scores, const float* bias,
                    std::span<float> worth, std::span<std::int32_t> chosen, std::span<float> weights);

}  // namespace colonnade::engine
