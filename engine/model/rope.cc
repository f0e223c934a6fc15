#include "engine/model/rope.h"

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

}  // namespace

RopeTable::RopeTable(const RopeConfig& config) {
  for (int pair = 0; pair < config.rotary_dim / 2; ++pair) {
    double frequency = std::pow(static_cast<double>(config.theta), -2.0 * pair / config.rotary_dim);
    switch (config.scaling) {
      case RopeScaling::kNone: break;
      case RopeScaling::kLinear: frequency /= config.factor; break;
      case RopeScaling::kLlama3: frequency = llama3_frequency(frequency, config); break;
    }
    frequencies_.push_back(frequency);
  }
}

void RopeTable::fill(int position, float* cosine, float* sine) const {
  for (std::size_t pair = 0; pair < frequencies_.size(); ++pair) {
    const double angle = position * frequencies_[pair];
    cosine[pair] = static_cast<float>(std::cos(angle));
    sine[pair] = static_cast<float>(std::sin(angle));
  }
}

}  // namespace colonnade::engine
