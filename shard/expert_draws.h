// How many tokens of a step each expert of a layer gets when every token chooses at random. Deterministic.
#pragma once

#include <cstdint>
#include <vector>

namespace colonnade::shard {

/// Used by one thread. The same calls in the same order draw the same.
class ExpertDraws {
 public:
  /// Tokens by expert of one draw: `n_tokens` tokens choose `n_active` different experts of `n_experts` each.
  const std::vector<int>& draw(int n_experts, int n_active, int n_tokens);

 private:
  std::uint32_t below(std::uint32_t limit);

  std::uint64_t state_ = 1;
  std::vector<int> tokens_, order_;
};

}  // namespace colonnade::shard
