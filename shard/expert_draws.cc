#include "shard/expert_draws.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace colonnade::shard {

/// splitmix64 (Steele et al. 2014): the same everywhere, unlike the standard library's distributions.
std::uint32_t ExpertDraws::below(std::uint32_t limit) {
  std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return static_cast<std::uint32_t>(((z ^ (z >> 31)) >> 32) * limit >> 32);
}

const std::vector<int>& ExpertDraws::draw(int n_experts, int n_active, int n_tokens) {
  const auto n = static_cast<std::size_t>(n_experts);
  tokens_.assign(n, 0);
  if (n_active >= n_experts) {
    std::fill(tokens_.begin(), tokens_.end(), n_tokens);
    return tokens_;
  }
  if (order_.size() != n) {
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0);
  }
  for (int t = 0; t < n_tokens; ++t) {
    // The beginning of a shuffle, whatever order the last one left.
    for (std::size_t k = 0; k < static_cast<std::size_t>(n_active); ++k) {
      std::swap(order_[k], order_[k + below(static_cast<std::uint32_t>(n - k))]);
      ++tokens_[static_cast<std::size_t>(order_[k])];
    }
  }
  return tokens_;
}

}  // namespace colonnade::shard
