// Which tokens go to which expert, and with what weight. A dense layer is one expert that takes every token, and so
// does a shared expert beside the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/aligned_buffer.h"
#include "engine/base/comm.h"
#include "engine/model/activation_rows.h"
#include "engine/model/rank_context.h"
#include "engine/model/weights.h"

namespace colonnade::engine {

/// Tokens of one expert, ascending, with their weights.
struct ExpertTokens {
  std::span<const std::int32_t> tokens;
  std::span<const float> weights;
};

/// Where a router has at least as many weights, the ranks of a stage share out its experts and exchange their scores (a
/// pre-join): 4 MiB are 40 us of a rank that reads 100 GB/s, and a join is less.
inline constexpr std::size_t kSharedRouterWeights = std::size_t{1} << 20;
inline bool shares_scores(const ModelConfig& config, const LayerConfig& layer, std::size_t n_ranks,
                          std::size_t least_weights = kSharedRouterWeights) {
  return n_ranks > 1 && layer.has_router() &&
         static_cast<std::size_t>(layer.n_experts) * static_cast<std::size_t>(config.dim) >= least_weights;
}

/// Allocates only on construction. route() on the step thread; expert() from any thread afterwards.
class Router {
 public:
  Router(const RankContext& context, std::size_t shared_router_weights);

  /// Scores `n_tokens` rows of normalised activations with the layer's router, chooses experts for each (expert_choice.h)
  /// and groups tokens by expert. Every rank computes the same from the same input.
  /// Errors are those of a pre-join.
  Status route(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, int n_tokens, Join& join);

  ExpertTokens expert(int index) const;

 private:
  /// A thread's part of the scores of `experts`, into `out` (n_tokens, n_experts).
  void score(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, std::size_t n_tokens, Range experts,
             int thread, float* out);
  Status exchange_scores(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, std::size_t n_tokens,
                         Join& join);
  void choose(const LayerConfig& layer, const LayerWeights& weights, std::size_t token);
  void group(const LayerConfig& layer, std::size_t n_tokens);
  void weigh_shared(const LayerConfig& layer, const LayerWeights& weights, ActivationRows& input, std::size_t n_tokens);
  void take_all(std::size_t n_tokens);

  const RankContext& context_;
  std::size_t shared_router_weights_;
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
