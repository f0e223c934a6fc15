#include "shard/prune/rates.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

template <typename Use>
void for_scores(const FloatMatrix& weights, std::span<const float> norms, const Use& use) {
  for (std::size_t r = 0; r < weights.rows(); ++r)
    for (std::size_t c = 0; c < weights.cols(); ++c) use(std::fabs(static_cast<double>(weights.row(r)[c])) * norms[c]);
}

}  // namespace

Result<RateRule> parse_rate_rule(std::string_view text) {
  for (const RateRule rule : {RateRule::kUniform, RateRule::kOwl, RateRule::kAtp})
    if (text == rate_rule_name(rule)) return rule;
  return Error{ErrorCode::kInvalidArgument, colonnade::text("rates: expected uniform, owl or atp, found ", text)};
}

const char* rate_rule_name(RateRule rule) { return rule == RateRule::kUniform ? "uniform" : rule == RateRule::kOwl ? "owl" : "atp"; }

void add_scores(const FloatMatrix& weights, std::span<const float> norms, ScoreCount& count) {
  for_scores(weights, norms, [&](double score) { count.sum += score; });
  count.n += weights.size();
}

void count_outliers(const FloatMatrix& weights, std::span<const float> norms, double limit, ScoreCount& count) {
  for_scores(weights, norms, [&](double score) { count.outliers += score > limit; });
}

std::vector<double> layer_rates(RateRule rule, double sparsity, double spread, std::span<const double> weights,
                                std::span<const double> outliers) {
  const std::size_t n = weights.size();
  std::vector<double> offsets(n, 0.0);  // from the sparsity that was asked for, before their mean is taken off
  // Nothing is pruned wholly, and nothing by less than nothing.
  const double room = std::min(spread, 0.8 * std::min(sparsity, 1 - sparsity));
  if (rule == RateRule::kAtp && n > 1)
    for (std::size_t l = 0; l < n; ++l) offsets[l] = 2 * room * static_cast<double>(l) / static_cast<double>(n - 1);
  if (rule == RateRule::kOwl) {
    const auto [least, most] = std::minmax_element(outliers.begin(), outliers.end());
    if (*most > *least)
      for (std::size_t l = 0; l < n; ++l) offsets[l] = -2 * room * (outliers[l] - *least) / (*most - *least);
  }
  const double mean = std::inner_product(offsets.begin(), offsets.end(), weights.begin(), 0.0) /
                      std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> rates;
  for (const double offset : offsets) rates.push_back(std::clamp(sparsity + offset - mean, 0.0, 1.0));
  return rates;
}

}  // namespace colonnade::shard
