// How many weights each layer loses.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "shard/prune/compute.h"

namespace colonnade::shard {

enum class RateRule {
  kUniform,  // all layers alike
  kOwl,      // layers with many outliers lose less (Yin et al. 2023, arXiv:2310.05175)
  kAtp,      // an arithmetic progression: early layers, whose errors all later ones inherit, lose less (Huang et al. 2025, arXiv:2502.14770)
};

/// "uniform", "owl" or "atp"; kInvalidArgument names the others.
Result<RateRule> parse_rate_rule(std::string_view text);
const char* rate_rule_name(RateRule rule);

/// Scores above this many times their layer's mean are outliers.
inline constexpr double kOutlierFactor = 5;

/// Scores |weight| * norm of its input of one matrix or several.
struct ScoreCount {
  double sum = 0;
  std::uint64_t n = 0;
  std::uint64_t outliers = 0;
};
void add_scores(const FloatMatrix& weights, std::span<const float> norms, ScoreCount& count);
/// Counts those above `limit`.
void count_outliers(const FloatMatrix& weights, std::span<const float> norms, double limit, ScoreCount& count);

/// The sparsity of each layer: `sparsity` over all weights. Layers differ by up to 2 * spread, less near 0 and 1. `weights` of each
/// layer count for the mean; `outliers` (kOwl only) are shares.
std::vector<double> layer_rates(RateRule rule, double sparsity, double spread, std::span<const double> weights,
                                std::span<const double> outliers);

}  // namespace colonnade::shard
