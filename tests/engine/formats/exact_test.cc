// Weights that were rounded before they are packed keep their values in every format that holds such values.
#include <catch2/catch.hpp>

#include <cmath>
#include <random>
#include <string_view>
#include <vector>

#include "engine/formats/bf16.h"
#include "engine/formats/format.h"

using namespace colonnade::engine;

namespace {

constexpr std::size_t kRows = 16, kCols = 1100;

/// Multiples of one scale for each row and `group` columns, by at most `largest`; every other row misses the extremes.
std::vector<float> rounded_weights(int smallest, int largest, std::size_t group, bool powers_of_two, double density) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<float> weights(kRows * kCols);
  for (std::size_t row = 0; row < kRows; ++row) {
    float scale = 0;
    const int reach = row % 2 == 0 ? largest : largest / 2;
    for (std::size_t col = 0; col < kCols; ++col) {
      if (col % group == 0)
        scale = powers_of_two ? std::ldexp(1.0f, -8 - static_cast<int>(row)) : bf16_to_f32(f32_to_bf16(static_cast<float>(0.01 + uniform(random))));
      const int steps = std::max(smallest, static_cast<int>(uniform(random) * (2 * reach + 1)) - reach - (row % 2 == 0 ? 1 : 0));
      if (uniform(random) < density) weights[row * kCols + col] = static_cast<float>(steps) * scale;
    }
  }
  return weights;
}

void check_kept(std::string_view name, const std::vector<float>& weights) {
  const Format& format = *find_format(name);
  std::vector<std::byte> strip;
  format.encode_strip(weights.data(), kCols, kRows, kCols, strip);
  std::vector<float> decoded(weights.size());
  format.decode_strip(strip.data(), kRows, kCols, decoded.data(), kCols);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    CAPTURE(name, i / kCols, i % kCols);
    REQUIRE(decoded[i] == weights[i]);
  }
}

}  // namespace

TEST_CASE("weights that are multiples of a power of two by at most 127 keep their values in int8 formats") {
  for (const double density : {1.0, 0.5, 0.1}) {
    const auto weights = rounded_weights(-127, 127, kCols, true, density);
    for (const char* name : {"int8", "bitmask-int8", "permute-int8", "quad-int8"}) check_kept(name, weights);
  }
}

TEST_CASE("weights that are multiples of a bf16 scale by -8 to 7 keep their values in int4 formats with such groups") {
  for (const double density : {1.0, 0.5, 0.1}) {
    check_kept("int4", rounded_weights(-8, 7, 64, false, density));
    for (const char* name : {"int4", "bitmask-int4"}) check_kept(name, rounded_weights(-8, 7, 128, false, density));
    for (const char* name : {"int4", "bitmask-int4", "permute-int4", "quad-int4"})
      check_kept(name, rounded_weights(-8, 7, 512, false, density));
  }
}

TEST_CASE("other weights are not taken for rounded ones") {
  const Format& int8 = *find_format("int8");
  std::vector<float> row(64, 0.25f);
  row[0] = 0.3f;  // not a multiple of anything that 0.25 is
  std::vector<std::byte> strip;
  int8.encode_strip(row.data(), row.size(), 1, row.size(), strip);
  std::vector<float> decoded(row.size());
  int8.decode_row(strip.data(), 0, row.size(), decoded.data());
  CHECK(decoded[0] == Approx(0.3f));
  CHECK(std::fabs(decoded[1] - 0.25f) <= 0.3f / 127 / 2 * 1.001f);
}
