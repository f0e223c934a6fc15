#include "engine/model/router.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/model/expert_choice.h"

namespace colonnade::engine {
namespace {

std::size_t largest(const ModelConfig& config, int LayerConfig::* field) {
  int value = 1;
  for (const LayerConfig& layer : config.layers) value = std::max(value, layer.*field);
  return static_cast<std::size_t>(value);
}

/// Multiplications that are worth waking the team for.
constexpr std::size_t kWorthSharing = 64 * 1024;

}  // namespace

Router::Router(const RankContext& context, std::size_t shared_router_weights)
    : context_(context),
      shared_router_weights_(shared_router_weights),
      scores_(static_cast<std::size_t>(context.max_tokens) * largest(context.config, &LayerConfig::n_experts)),
      worth_(scores_.size()),
      chosen_(static_cast<std::size_t>(context.max_tokens) * largest(context.config, &LayerConfig::n_active)),
      chosen_weights_(chosen_.size()),
      begin_(largest(context.config, &LayerConfig::n_experts) + 1),
      tokens_(chosen_.size()),
      weights_(chosen_.size()),
      all_tokens_(static_cast<std::size_t>(context.max_tokens)),
      shared_weights_(all_tokens_.size()) {
  std::iota(all_tokens_.begin(), all_tokens_.end(), 0);
}

void Router::score(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, std::size_t n_tokens,
                   Range experts, int thread, float* out) {
  const auto n_experts = static_cast<std::size_t>(layer.n_experts);
  const std::size_t dim = context_.dim();
  // Each thread has some rows of the router for all tokens, so that they are read once.
  const Range part = part_of(experts.end - experts.begin, thread, context_.team.size());
  for (std::size_t e = experts.begin + part.begin; e < experts.begin + part.end; ++e)
    for (std::size_t t = 0; t < n_tokens; ++t)
      out[t * n_experts + e] = context_.kernels.dot(input.row(t), weights.router + e * dim, dim) +
                                   (weights.router_logit_bias != nullptr ? weights.router_logit_bias[e] : 0.0f);
}

void Router::choose(const LayerConfig& layer, const LayerWeights& weights, std::size_t token) {
  const auto n_experts = static_cast<std::size_t>(layer.n_experts);
  const auto n_active = static_cast<std::size_t>(layer.n_active);
  choose_experts(context_.kernels, context_.config.router, {scores_.data() + token * n_experts, n_experts},
                 weights.router_bias, {worth_.data() + token * n_experts, n_experts},
                 {chosen_.data() + token * n_active, n_active}, {chosen_weights_.data() + token * n_active, n_active});
}

void Router::take_all(std::size_t n_tokens) {
  begin_[0] = 0;
  begin_[1] = static_cast<std::int32_t>(n_tokens);
  std::copy_n(all_tokens_.begin(), n_tokens, tokens_.begin());
  std::fill_n(weights_.begin(), n_tokens, 1.0f);
}

void Router::weigh_shared(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input,
                          std::size_t n_tokens) {
  shared_expert_ = layer.has_shared() ? layer.shared_expert() : -1;
  if (!layer.has_shared()) return;
  std::fill_n(shared_weights_.begin(), n_tokens, 1.0f);
  if (!layer.shared_gate) return;
  for (std::size_t t = 0; t < n_tokens; ++t)
    shared_weights_[t] = context_.kernels.dot(input.row(t), weights.shared_gate, context_.dim());
  context_.kernels.sigmoid(shared_weights_.data(), n_tokens);
}

Status Router::exchange_scores(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input,
                               std::size_t n_tokens, Join& join) {
  const auto n_experts = static_cast<std::size_t>(layer.n_experts);
  float* const own = join.contribution();
  std::memset(own, 0, n_tokens * n_experts * sizeof(float));
  std::memset(scores_.data(), 0, n_tokens * n_experts * sizeof(float));
  const Range experts = part_of(n_experts, join.index(), join.size());
  context_.team.run([&](int thread) { score(layer, weights, input, n_tokens, experts, thread, own); });
  return join.reduce(scores_.data(), n_tokens * n_experts, context_.team);
}

Status Router::route(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, int n_tokens, Join& join) {
  const auto n = static_cast<std::size_t>(n_tokens);
  n_tokens_ = n;
  weigh_shared(layer, weights, input, n);
  if (!layer.has_router()) {
    take_all(n);
    return {};
  }
  const bool exchanged = shares_scores(context_.config, layer, static_cast<std::size_t>(join.size()), shared_router_weights_);
  if (exchanged) COLONNADE_TRY(exchange_scores(layer, weights, input, n, join));
  const Range all{0, static_cast<std::size_t>(layer.n_experts)};
  const bool alone = context_.team.size() == 1 || n * static_cast<std::size_t>(layer.n_experts) * context_.dim() < kWorthSharing;
  if (alone) {
    for (int part = 0; !exchanged && part < context_.team.size(); ++part)
      score(layer, weights, input, n, all, part, scores_.data());
    for (std::size_t t = 0; t < n; ++t) choose(layer, weights, t);
  } else {
    context_.team.run([&](int thread) {
      if (!exchanged) {
        score(layer, weights, input, n, all, thread, scores_.data());
        context_.team.barrier();
      }
      const Range tokens = part_of(n, thread, context_.team.size());
      for (std::size_t t = tokens.begin; t < tokens.end; ++t) choose(layer, weights, t);
    });
  }
  group(layer, n);
  return {};
}

void Router::group(const LayerConfig& layer, std::size_t n) {
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
  if (index == shared_expert_) return {{all_tokens_.data(), n_tokens_}, {shared_weights_.data(), n_tokens_}};
  const auto e = static_cast<std::size_t>(index);
  const auto first = static_cast<std::size_t>(begin_[e]);
  const auto count = static_cast<std::size_t>(begin_[e + 1]) - first;
  return {{tokens_.data() + first, count}, {weights_.data() + first, count}};
}

}  // namespace colonnade::engine
