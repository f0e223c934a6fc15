#include "engine/model/rope.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace colonnade::engine {
namespace {

/// Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, those between blended.
double llama3_frequency(double frequency, const RopeConfig& config) {
  const double context = config.original_context_tokens;
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  if (wavelength < context / config.high_freq_factor) return frequency;
  if (wavelength > context / config.low_freq_factor) return frequency / config.factor;
  if (config.high_freq_factor == config.low_freq_factor) return frequency;
  const double blend = (context / wavelength - config.low_freq_factor) /
                       (static_cast<double>(config.high_freq_factor) - config.low_freq_factor);
  return (1.0 - blend) * frequency / config.factor + blend * frequency;
}

/// YaRN (Peng et al. 2023): pairs that rotate often within the original context are kept, those that rotate seldom are
/// stretched by `factor`, those between blended by the number of the pair.
class YarnBlend {
 public:
  explicit YarnBlend(const RopeConfig& config) : factor_(config.factor) {
    const auto pair_of = [&](double rotations) {
      return config.rotary_dim * std::log(config.original_context_tokens / (rotations * 2.0 * std::numbers::pi)) /
             (2.0 * std::log(static_cast<double>(config.theta)));
    };
    first_ = pair_of(config.beta_fast);
    last_ = pair_of(config.beta_slow);
    if (config.whole_pairs) {
      first_ = std::floor(first_);
      last_ = std::ceil(last_);
    }
    first_ = std::max(first_, 0.0);
    last_ = std::min(last_, config.rotary_dim - 1.0);
    if (first_ == last_) last_ += 0.001;
  }

  double frequency(double original, int pair) const {
    const double stretched = std::clamp((pair - first_) / (last_ - first_), 0.0, 1.0);
    return original / factor_ * stretched + original * (1.0 - stretched);
  }

 private:
  double factor_, first_, last_;
};

}  // namespace

RopeTable::RopeTable(const RopeConfig& config) : amplitude_(config.amplitude) {
  for (int pair = 0; pair < config.rotary_dim / 2; ++pair) {
    double frequency = std::pow(static_cast<double>(config.theta), -2.0 * pair / config.rotary_dim);
    switch (config.scaling) {
      case RopeScaling::kNone: break;
      case RopeScaling::kLinear: frequency /= config.factor; break;
      case RopeScaling::kYarn: frequency = YarnBlend(config).frequency(frequency, pair); break;
      case RopeScaling::kLlama3: frequency = llama3_frequency(frequency, config); break;
    }
    if (!config.factors.empty()) frequency /= config.factors[static_cast<std::size_t>(pair)];
    frequencies_.push_back(frequency);
  }
}

void RopeTable::fill(int position, float* cosine, float* sine) const {
  for (std::size_t pair = 0; pair < frequencies_.size(); ++pair) {
    const double angle = position * frequencies_[pair];
    cosine[pair] = static_cast<float>(amplitude_ * std::cos(angle));
    sine[pair] = static_cast<float>(amplitude_ * std::sin(angle));
  }
}

}  // namespace colonnade::engine
