#include "engine/model/rope.h"

#include <catch2/catch.hpp>
#include <cmath>

using namespace colonnade::engine;

namespace {

double angle(const RopeConfig& config, int pair) {
  std::vector<float> cosine(static_cast<std::size_t>(config.rotary_dim / 2)), sine(cosine.size());
  RopeTable(config).fill(1, cosine.data(), sine.data());
  return std::atan2(sine[static_cast<std::size_t>(pair)], cosine[static_cast<std::size_t>(pair)]);
}

}  // namespace

TEST_CASE("frequencies fall geometrically from 1 radian a position") {
  RopeConfig config;
  config.rotary_dim = 8;
  CHECK(angle(config, 0) == Approx(1.0));
  CHECK(angle(config, 1) == Approx(0.1));
  CHECK(angle(config, 3) == Approx(0.001));
}

TEST_CASE("linear scaling divides every frequency") {
  RopeConfig config;
  config.rotary_dim = 8;
  config.scaling = RopeScaling::kLinear;
  config.factor = 4;
  CHECK(angle(config, 0) == Approx(0.25));
  CHECK(angle(config, 2) == Approx(0.0025));
}

TEST_CASE("llama3 scaling keeps short waves, stretches long ones and blends between") {
  // Wavelengths of the 4 pairs: 6.28, 62.8, 628, 6283 positions; the bands end at 16 and 64 positions.
  RopeConfig config;
  config.rotary_dim = 8;
  config.scaling = RopeScaling::kLlama3;
  config.factor = 32;
  config.low_freq_factor = 1;
  config.high_freq_factor = 4;
  config.original_context_tokens = 64;
  CHECK(angle(config, 0) == Approx(1.0));
  const double blend = (64 / 62.83185307 - 1) / 3;
  CHECK(angle(config, 1) == Approx((1 - blend) * 0.1 / 32 + blend * 0.1));
  CHECK(angle(config, 2) == Approx(0.01 / 32));
  CHECK(angle(config, 3) == Approx(0.001 / 32));
}

TEST_CASE("yarn keeps fast pairs, stretches slow ones, blends between, with or without whole pairs as bounds") {
  // Expected values by a separate computation from the paper's formulas: pairs 2 to 6, or 2.618 to 5.628, are blended.
  RopeConfig config;
  config.rotary_dim = 16;
  config.scaling = RopeScaling::kYarn;
  config.factor = 40;
  config.original_context_tokens = 4096;
  const double whole[] = {1.0, 0.31622776602, 0.1, 0.02391472481, 0.005125, 0.00084986212, 2.5e-05, 7.905694e-06};
  const double exact[] = {1.0, 0.31622776602, 0.1, 0.02771085848, 0.00552406298, 0.00072263834, 2.5e-05, 7.905694e-06};
  for (int pair = 0; pair < 8; ++pair) {
    config.whole_pairs = true;
    CHECK(angle(config, pair) == Approx(whole[pair]));
    config.whole_pairs = false;
    CHECK(angle(config, pair) == Approx(exact[pair]));
  }
  config.amplitude = 1.25f;
  float cosine[8], sine[8];
  RopeTable(config).fill(0, cosine, sine);
  CHECK(cosine[3] == 1.25f);
  CHECK(sine[3] == 0.0f);
}

TEST_CASE("far positions keep their phase") {
  RopeConfig config;
  config.rotary_dim = 2;
  float cosine = 0, sine = 0;
  RopeTable(config).fill(1'000'003, &cosine, &sine);
  CHECK(cosine == Approx(std::cos(1'000'003.0)).margin(1e-6));
  CHECK(sine == Approx(std::sin(1'000'003.0)).margin(1e-6));
}
