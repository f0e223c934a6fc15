#include "coordinator/cli/distribution_distance.h"

#include <algorithm>
#include <cmath>

#include "engine/base/check.h"

namespace colonnade::cli {
namespace {

double log_sum_exp(std::span<const float> logits, float largest) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return std::log(sum) + largest;
}

}  // namespace

void DistributionDistance::add(std::span<const float> reference, std::span<const float> model) {
  COLONNADE_CHECK(!reference.empty() && reference.size() == model.size(), "logits of two models over one vocabulary");
  const auto best_reference = std::max_element(reference.begin(), reference.end());
  const auto best_model = std::max_element(model.begin(), model.end());
  const double reference_total = log_sum_exp(reference, *best_reference), model_total = log_sum_exp(model, *best_model);
  double divergence = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - reference_total, log_q = model[i] - model_total;
    divergence += std::exp(log_p) * (log_p - log_q);
  }
  sum_ += divergence;
  squares_ += divergence * divergence;
  same_ += best_reference - reference.begin() == best_model - model.begin() ? 1 : 0;
  ++positions_;
}

double DistributionDistance::divergence() const { return sum_ / static_cast<double>(std::max<std::size_t>(1, positions_)); }

double DistributionDistance::divergence_error() const {
  const auto n = static_cast<double>(positions_);
  return n < 2 ? 0.0 : std::sqrt(std::max(0.0, squares_ / n - divergence() * divergence()) / (n - 1));
}

double DistributionDistance::agreement() const {
  return static_cast<double>(same_) / static_cast<double>(std::max<std::size_t>(1, positions_));
}

}  // namespace colonnade::cli
