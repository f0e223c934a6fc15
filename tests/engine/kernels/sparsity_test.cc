#include "engine/kernels/sparsity.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace colonnade;
using namespace colonnade::engine;

namespace {

std::vector<float> random_weights(const Sparsity& sparsity, std::size_t rows, std::size_t cols, std::uint64_t seed = 1) {
  std::vector<float> weights(rows * cols, 99.0f);
  fill_random_weights(sparsity, seed, 0.5f, rows, cols, weights.data());
  return weights;
}

double density_of(const std::vector<float>& weights) {
  const auto zeros = std::count(weights.begin(), weights.end(), 0.0f);
  return 1.0 - static_cast<double>(zeros) / static_cast<double>(weights.size());
}

}  // namespace

TEST_CASE("structures are read and named") {
  struct Case {
    double sparsity;
    const char* structure;
    double density;
    int block;
    const char* name;
  };
  const Case cases[] = {{0, "unstructured", 1.0, 0, "dense"},    {0.9, "", 0.1, 0, "unstructured"},
                        {0.5, "2:4", 0.5, 4, "2:4"},             {0, "2:4", 0.5, 4, "2:4"},
                        {0, "4:64", 0.0625, 64, "4:64"},         {0.9, "n:64", 6.0 / 64, 64, "6:64"},
                        {0.999, "n:128", 1.0 / 128, 128, "1:128"}, {0.94, "4:64", 0.0625, 64, "4:64"}};
  for (const Case& c : cases) {
    CAPTURE(c.sparsity, c.structure);
    const auto parsed = parse_sparsity(c.sparsity, c.structure);
    REQUIRE(parsed.ok());
    CHECK(parsed->density == Approx(c.density));
    CHECK(parsed->block == c.block);
    CHECK(structure_name(*parsed) == c.name);
  }
}

TEST_CASE("structures that are none are refused in one line") {
  for (const char* structure : {"4", "4:", ":64", "5:4", "0:4", "n:1", "n:99999", "4:64x", "x:64", "-1:4", "n:n"}) {
    CAPTURE(structure);
    const auto parsed = parse_sparsity(0.5, structure);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().code == ErrorCode::kInvalidArgument);
    CHECK_THAT(parsed.error().message, Catch::Contains("--structure: expected unstructured") && Catch::Contains(structure));
  }
  CHECK_THAT(parse_sparsity(0.9, "2:4").error().message, Catch::Contains("expected --sparsity 0.5, found 0.9"));
  CHECK_FALSE(parse_sparsity(1.5, "unstructured").ok());
  CHECK_FALSE(parse_sparsity(std::nan(""), "unstructured").ok());
}

TEST_CASE("random weights have the density that was asked for, and no accidental zeros") {
  CHECK(density_of(random_weights({1.0, 0}, 16, 4096)) == 1.0);
  CHECK(density_of(random_weights({0.0, 0}, 16, 100)) == 0.0);
  for (const double density : {0.5, 0.1, 0.05})
    CHECK(density_of(random_weights({density, 0}, 64, 4096)) == Approx(density).epsilon(0.03));
  const auto weights = random_weights({1.0, 0}, 16, 4096);
  double squares = 0;
  for (const float w : weights) {
    REQUIRE(std::fabs(w) <= 0.5f);
    squares += double{w} * w;
  }
  CHECK(squares / static_cast<double>(weights.size()) == Approx(0.25 / 3).epsilon(0.05));
  CHECK(weights == random_weights({1.0, 0}, 16, 4096));
  CHECK(weights != random_weights({1.0, 0}, 16, 4096, 2));
}

TEST_CASE("every block of a balanced structure keeps the same number") {
  for (const auto& [kept, block] : {std::pair{2, 4}, {4, 64}, {8, 128}, {64, 64}}) {
    const Sparsity sparsity{static_cast<double>(kept) / block, block};
    const std::size_t cols = 512;
    const auto weights = random_weights(sparsity, 32, cols);
    for (std::size_t begin = 0; begin < weights.size(); begin += static_cast<std::size_t>(block)) {
      const auto* from = weights.data() + begin;
      REQUIRE(std::count_if(from, from + block, [](float w) { return w != 0.0f; }) == kept);
    }
    // And not always the same ones.
    CHECK((kept == block || !std::equal(weights.begin(), weights.begin() + block, weights.begin() + block,
                                        [](float a, float b) { return (a != 0) == (b != 0); })));
  }
}
