// How far a model's predictions are from those of a reference: for quality lost by pruning and rounding, which shows there
// with far less text than in perplexity.
#pragma once

#include <cstddef>
#include <span>

namespace colonnade::cli {

/// Sums over positions. Not thread-safe.
class DistributionDistance {
 public:
  /// Logits of one position, (vocab_size) each.
  void add(std::span<const float> reference, std::span<const float> model);

  std::size_t positions() const { return positions_; }
  /// Mean Kullback-Leibler divergence of the model from the reference, in nats, and its standard error.
  double divergence() const;
  double divergence_error() const;
  /// The part of the positions at which both think the same token the likeliest.
  double agreement() const;

 private:
  double sum_ = 0, squares_ = 0;
  std::size_t positions_ = 0, same_ = 0;
};

}  // namespace colonnade::cli
