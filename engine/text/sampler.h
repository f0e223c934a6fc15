// Choosing a token from the most likely candidates. Pure; the random number is a function of (seed, position), so a
// request gives the same tokens whatever else runs and however the model is sharded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace colonnade::engine {

struct Candidate {
  std::int32_t token;
  float logit;  // after edits
};
/// The order in which candidates are walked: larger logit first, then smaller token; logits that are not numbers come last.
inline bool candidate_before(const Candidate& a, const Candidate& b) {
  if (a.logit > b.logit) return true;
  if (a.logit < b.logit) return false;
  const bool a_is_number = a.logit == a.logit, b_is_number = b.logit == b.logit;
  return a_is_number != b_is_number ? a_is_number : a.token < b.token;
}

struct SamplerParams {
  float temperature = 1.0f;  // is_greedy(): the first candidate
  float top_p = 1.0f;
  float min_p = 0.0f;
  std::int32_t top_k = 0;    // 0: all
  std::uint64_t seed = 0;
  std::int32_t position = 0;
};

/// Temperatures below this one, and 0, take the first candidate: dividing by them would overflow.
inline constexpr float kLeastTemperature = 1e-5f;
inline bool is_greedy(float temperature) { return !(temperature >= kLeastTemperature); }

/// Candidates sorted by candidate_before: the first of the whole vocabulary, or all of it (`complete`). max_logit is
/// the largest edited logit and sum_exp the sum over the WHOLE vocabulary of exp((logit - max_logit) / temperature).
/// Applies temperature, then top_k, then top_p on what is left (renormalised), then min_p (relative to the most
/// likely), and walks the rest with one uniform number. nullopt when the answer depends on tokens beyond the
/// candidates: call again with all of them.
std::optional<std::int32_t> choose_token(std::span<const Candidate> candidates, bool complete, float max_logit,
                                         double sum_exp, const SamplerParams& params);

/// Uniform in [0, 1), the same on every machine (a counter-based generator: Philox or SplitMix on seed and position).
double uniform_number(std::uint64_t seed, std::int32_t position);

}  // namespace colonnade::engine
