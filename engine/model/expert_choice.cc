#include "engine/model/expert_choice.h"

#include <algorithm>
#include <limits>

namespace colonnade::engine {
namespace {

constexpr float kTaken = -std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();
/// Added to the sum that weights are divided by, which may be 0 where all sigmoids are.
constexpr float kLeastSum = 1e-20f;

/// The index of the largest; the first of equal ones.
std::size_t best_of(std::span<const float> values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

float worth_of_group(GroupScore kind, std::span<const float> worth) {
  float best = kLowest, second = kLowest;
  for (const float w : worth) {
    second = std::max(second, std::min(best, w));
    best = std::max(best, w);
  }
  return kind == GroupScore::kTwoBest && worth.size() > 1 ? best + second : best;
}

/// Leaves the worth of experts outside of the best groups at kTaken.
void keep_best_groups(const RouterConfig& router, std::span<float> worth) {
  const auto n_groups = static_cast<std::size_t>(router.n_groups);
  const std::size_t size = worth.size() / n_groups;
  const auto group = [&](std::size_t g) { return worth.subspan(g * size, size); };
  // Of the groups that are worth least, one after the other goes; of equal ones the last.
  for (int left = router.n_groups; left > router.n_active_groups; --left) {
    std::size_t least = n_groups;
    float least_worth = 0.0f;
    for (std::size_t g = 0; g < n_groups; ++g) {
      if (group(g).front() == kTaken) continue;
      const float w = worth_of_group(router.group_score, group(g));
      if (least < n_groups && w > least_worth) continue;
      least = g;
      least_worth = w;
    }
    std::fill(group(least).begin(), group(least).end(), kTaken);
  }
}

}  // namespace

void choose_experts(const KernelTable& kernels, const RouterConfig& router, std::span<float> scores, const float* bias,
                    std::span<float> worth, std::span<std::int32_t> chosen, std::span<float> weights) {
  const bool softmax = router.score == RouterScore::kSoftmax;
  const float max = softmax ? kernels.max_value(scores.data(), scores.size()) : 0.0f;
  const float sum = softmax ? kernels.sum_exp(scores.data(), max, 1.0f, scores.size()) : 1.0f;
  const auto probability = [&](float logit) {
    if (softmax) return kernels.sum_exp(&logit, max, 1.0f, 1) / sum;
    kernels.sigmoid(&logit, 1);
    return logit;
  };

  // Where nothing is added, the order of scores is that of their logits.
  const bool by_logits = bias == nullptr && router.group_score == GroupScore::kBest;
  if (!by_logits && !softmax) {
    kernels.sigmoid(scores.data(), scores.size());
  } else if (!by_logits) {
    for (float& score : scores) score = probability(score);
  }
  for (std::size_t e = 0; e < scores.size(); ++e) {
    const float w = bias == nullptr ? scores[e] : scores[e] + bias[e];
    worth[e] = w >= kLowest ? w : kLowest;
  }
  if (router.n_active_groups < router.n_groups) keep_best_groups(router, worth);

  for (std::int32_t& expert : chosen) {
    const std::size_t best = best_of(worth);
    expert = static_cast<std::int32_t>(best);
    worth[best] = kTaken;
  }
  std::sort(chosen.begin(), chosen.end());
  float total = 0.0f;
  for (std::size_t k = 0; k < chosen.size(); ++k) {
    const float score = scores[static_cast<std::size_t>(chosen[k])];
    weights[k] = by_logits ? probability(score) : score;
    total += weights[k];
  }
  for (float& weight : weights) {
    if (router.normalize) weight /= total + kLeastSum;
    weight *= router.scaling;
  }
}

}  // namespace colonnade::engine
