// Which tokens go to which expert, and with what weight. A dense layer is one expert that takes every token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/aligned_buffer.h"
#include "engine/model/activation_rows.h"
#include "engine/model/rank_context.h"
#include "engine/model/weights.h"

namespace colonnade::engine {

/// Tokens of one expert, ascending, with their weights.
struct ExpertTokens {
  std::span<const std::int32_t> tokens;
  std::span<const float> weights;
};

/// Allocates only on construction. route() on the step thread; expert() from any thread afterwards.
class Router {
 public:
  explicit Router(const RankContext& context);

  /// Scores `n_tokens` rows of normalised activations with the layer's router, keeps the n_active best of each
  /// (ties: lower expert first) and groups tokens by expert. Every rank computes the same from the same input.
  void route(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, int n_tokens);

  ExpertTokens expert(int index) const;

 private:
  void choose(const LayerConfig& layer, const LayerWeights& weights, const float* input, int token);

  const RankContext& context_;
  AlignedBuffer<float> scores_;               // (max_tokens, n_experts)
  std::vector<std::int32_t> chosen_;          // (max_tokens, n_active), ascending
  std::vector<float> chosen_weights_;         // (max_tokens, n_active)
  std::vector<std::int32_t> begin_;           // per expert: its part of the lists below; n_experts + 1
  std::vector<std::int32_t> tokens_;
  std::vector<float> weights_;
};

}  // namespace colonnade::engine
