#include "engine/model/router.h"

#include <algorithm>

namespace colonnade::engine {
namespace {

std::size_t largest(const ModelConfig& config, int LayerConfig::* field) {
  int value = 1;
  for (const LayerConfig& layer : config.layers) value = std::max(value, layer.*field);
  return static_cast<std::size_t>(value);
}

}  // namespace

Router::Router(const RankContext& context)
    : context_(context),
      scores_(static_cast<std::size_t>(context.max_tokens) * largest(context.config, &LayerConfig::n_experts)),
      chosen_(static_cast<std::size_t>(context.max_tokens) * largest(context.config, &LayerConfig::n_active)),
      chosen_weights_(chosen_.size()),
      begin_(largest(context.config, &LayerConfig::n_experts) + 1),
      tokens_(chosen_.size()),
      weights_(chosen_.size()) {}

void Router::choose(const LayerConfig& layer, const LayerWeights& weights, const float* input, int token) {
  const auto n_experts = static_cast<std::size_t>(layer.n_experts);
  const auto n_active = static_cast<std::size_t>(layer.n_active);
  const auto t = static_cast<std::size_t>(token);
  float* const scores = scores_.data() + t * n_experts;
  for (std::size_t e = 0; e < n_experts; ++e)
    scores[e] = context_.kernels.dot(input, weights.router + e * context_.dim(), context_.dim());
  const float max = context_.kernels.max_value(scores, n_experts);
  const float sum = context_.kernels.sum_exp(scores, max, 1.0f, n_experts);

  std::int32_t* const chosen = chosen_.data() + t * n_active;
  for (std::size_t k = 0; k < n_active; ++k) {
    std::int32_t best = -1;
    for (std::size_t e = 0; e < n_experts; ++e) {
      const auto candidate = static_cast<std::int32_t>(e);
      if (std::find(chosen, chosen + k, candidate) != chosen + k) continue;
      if (best < 0 || scores[e] > scores[static_cast<std::size_t>(best)]) best = candidate;
    }
    chosen[k] = best;
  }
  std::sort(chosen, chosen + n_active);
  float* const probabilities = chosen_weights_.data() + t * n_active;
  float total = 0.0f;
  for (std::size_t k = 0; k < n_active; ++k) {
    probabilities[k] = context_.kernels.sum_exp(scores + chosen[k], max, 1.0f, 1) / sum;
    total += probabilities[k];
  }
  if (context_.config.normalize_expert_weights)
    for (std::size_t k = 0; k < n_active; ++k) probabilities[k] /= total;
}

void Router::route(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, int n_tokens) {
  const auto n = static_cast<std::size_t>(n_tokens);
  if (!layer.has_router()) {
    begin_[0] = 0;
    begin_[1] = n_tokens;
    for (std::size_t t = 0; t < n; ++t) tokens_[t] = static_cast<std::int32_t>(t);
    std::fill_n(weights_.begin(), n, 1.0f);
    return;
  }
  const auto choose_all = [&](int thread) {
    const Range range = part_of(n, thread, context_.team.size());
    for (std::size_t t = range.begin; t < range.end; ++t)
      choose(layer, weights, input.row(t), static_cast<int>(t));
  };
  // Waking the team costs more than one token's scores.
  if (n_tokens == 1) {
    choose(layer, weights, input.row(0), 0);
  } else {
    context_.team.run(choose_all);
  }

  const auto n_active = static_cast<std::size_t>(layer.n_active);
  std::fill(begin_.begin(), begin_.end(), 0);
  for (std::size_t i = 0; i < n * n_active; ++i) ++begin_[static_cast<std::size_t>(chosen_[i]) + 1];
  for (std::size_t e = 0; e < static_cast<std::size_t>(layer.n_experts); ++e) begin_[e + 1] += begin_[e];
  // Filled with begin_ as cursors, which leaves each at the next expert's start; shifted back afterwards.
  for (std::size_t t = 0; t < n; ++t) {
    for (std::size_t k = 0; k < n_active; ++k) {
      const std::size_t pair = t * n_active + k;
      const auto at = static_cast<std::size_t>(begin_[static_cast<std::size_t>(chosen_[pair])]++);
      tokens_[at] = static_cast<std::int32_t>(t);
      weights_[at] = chosen_weights_[pair];
    }
  }
  for (std::size_t e = static_cast<std::size_t>(layer.n_experts); e > 0; --e) begin_[e] = begin_[e - 1];
  begin_[0] = 0;
}

ExpertTokens Router::expert(int index) const {
  const auto e = static_cast<std::size_t>(index);
  const auto first = static_cast<std::size_t>(begin_[e]);
  const auto count = static_cast<std::size_t>(begin_[e + 1]) - first;
  return {{tokens_.data() + first, count}, {weights_.data() + first, count}};
}

}  // namespace colonnade::engine
