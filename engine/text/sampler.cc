#include "engine/text/sampler.h"

#include <algorithm>
#include <cmath>

namespace colonnade::engine {
namespace {

/// SplitMix64's output function: a bijection of 64-bit numbers whose results look independent (Steele, Lea, Flood:
/// "Fast splittable pseudorandom number generators", 2014).
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ull;  // SplitMix64's step: 2^64 / golden ratio

}  // namespace

double uniform_number(std::uint64_t seed, std::int32_t position) {
  // The seed is mixed first, so that neighbouring seeds do not give shifted copies of one stream.
  const std::uint64_t stream = mix(seed + kGolden);
  const std::uint64_t bits = mix(stream + kGolden * (static_cast<std::uint64_t>(static_cast<std::uint32_t>(position)) + 1));
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

std::optional<std::int32_t> choose_token(std::span<const Candidate> candidates, bool complete, float max_logit,
                                         double sum_exp, const SamplerParams& params) {
  if (candidates.empty()) return std::nullopt;
  if (is_greedy(params.temperature) || params.top_k == 1) return candidates[0].token;

  const double temperature = params.temperature;
  const auto weight = [&](std::size_t i) {
    return std::exp((static_cast<double>(candidates[i].logit) - static_cast<double>(max_logit)) / temperature);
  };

  // top_k: how many candidates take part, and the sum of weights that top_p and the walk are relative to.
  std::size_t count = candidates.size();
  bool all_known = complete;  // everything that may take part is among the first `count` candidates
  double total = sum_exp;
  if (params.top_k > 0) {
    const auto k = static_cast<std::size_t>(params.top_k);
    if (k <= count) {
      count = k;
      all_known = true;
      total = 0.0;
      for (std::size_t i = 0; i < count; ++i) total += weight(i);
    } else if (!complete) {
      return std::nullopt;  // the k largest are not all here, so their sum is unknown
    }
  }

  // Logits that are not numbers leave nothing to draw from; the first candidate is as good as any.
  if (!(total > 0.0 && std::isfinite(total))) return candidates[0].token;

  // top_p keeps the shortest beginning whose share reaches top_p; min_p keeps what is at least min_p times as likely
  // as the first. Both keep a beginning of the sorted list, so the answer is the shorter of the two.
  const bool has_top_p = params.top_p < 1.0f;
  const double enough = static_cast<double>(params.top_p) * total;
  const double least = static_cast<double>(params.min_p) * weight(0);
  double kept = 0.0;
  std::size_t n_kept = 0;
  bool cut = false;  // tokens after the first n_kept are ruled out by top_p or min_p
  while (n_kept < count && !cut) {
    const double w = weight(n_kept);
    if (n_kept > 0 && w < least) {
      cut = true;
    } else {
      kept += w;
      ++n_kept;
      cut = has_top_p && kept >= enough;
    }
  }
  const bool filtered = has_top_p || params.min_p > 0.0f;
  if (!cut && !all_known && filtered) return std::nullopt;

  // The walk. Without a cut the mass is the total that was handed in, not our own sum, so that the same number meets
  // the same token whether or not all candidates are at hand.
  const double target = uniform_number(params.seed, params.position) * (cut ? kept : total);
  double passed = 0.0;
  for (std::size_t i = 0; i < n_kept; ++i) {
    passed += weight(i);
    if (target < passed) return candidates[i].token;
  }
  if (!cut && !all_known) return std::nullopt;
  return candidates[n_kept - 1].token;  // rounding left the target at the very end
}

}  // namespace colonnade::engine
