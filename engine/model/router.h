// Which tokens go to which expert, and with what weight. A dense layer is one expert that takes every token, and so
// does a shared expert beside the others.
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

  /// Scores `n_tokens` rows of normalised activations with the layer's router, chooses experts for each (expert_choice.h)
  /// and groups tokens by expert. Every rank computes the same from the same input.
  void route(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, int n_tokens);

  ExpertTokens expert(int index) const;

 private:
  void score(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, std::size_t n_tokens, int thread);
  void choose(const LayerConfig& layer, const LayerWeights& weights, std::size_t token);
  void group(const LayerConfig& layer, std::size_t n_tokens);
  void weigh_shared(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, std::size_t n_tokens);
  void take_all(std::size_t n_tokens);

  const RankContext& context_;
  AlignedBuffer<float> scores_;               // (max_tokens, n_experts)
  AlignedBuffer<float> worth_;                // (max_tokens, n_experts): of experts in the choice
  std::vector<std::int32_t> chosen_;          // (max_tokens, n_active), ascending
  std::vector<float> chosen_weights_;         // (max_tokens, n_active)
  std::vector<std::int32_t> begin_;           // per expert: its part of the lists below; n_experts + 1
  std::vector<std::int32_t> tokens_;
  std::vector<float> weights_;
  std::size_t n_tokens_ = 0;                  // of the step
  int shared_expert_ = -1;                    // of the layer; -1: none
  std::vector<std::int32_t> all_tokens_;      // of the shared expert
  std::vector<float> shared_weights_;
};

}  // namespace colonnade::engine
