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
    bool in_blocks = false;
  };
  const Case cases[] = {{0, "unstructured", 1.0, 0, "dense"},    {0.9, "", 0.1, 0, "unstructured"},
                        {0.5, "2:4", 0.5, 4, "2:4"},             {0, "2:4", 0.5, 4, "2:4"},
                        {0, "4:64", 0.0625, 64, "4:64"},         {0.9, "n:64", 6.0 / 64, 64, "6:64"},
                        {0.999, "n:128", 1.0 / 128, 128, "1:128"}, {0.94, "4:64", 0.0625, 64, "4:64"},
                        {0.75, "1x4", 0.25, 0, "1x4", true},     {0, "1x4", 1.0, 0, "dense"}};
  for (const Case& c : cases) {
    CAPTURE(c.sparsity, c.structure);
    const auto parsed = parse_sparsity(c.sparsity, c.structure);
    REQUIRE(parsed.ok());
    CHECK(parsed->density == Approx(c.density));
    CHECK(parsed->block == c.block);
    CHECK(parsed->in_blocks == c.in_blocks);
    CHECK(structure_name(*parsed) == c.name);
  }
}

TEST_CASE("structures that are none are refused in one line") {
  for (const char* structure : {"4", "4:", ":64", "5:4", "0:4", "n:1", "n:99999", "4:64x", "x:64", "-1:4", "n:n", "1x3", "4x1", "1x4:", "1x", "x4", "1X4"}) {
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

TEST_CASE("blocks of four neighbours are kept or zero as a whole, a shorter last one as well") {
  for (const std::size_t cols : {1u, 3u, 4u, 7u, 64u, 66u, 1021u}) {
    for (const double density : {0.0, 0.1, 0.5, 1.0}) {
      CAPTURE(cols, density);
      const std::size_t rows = 20000 / cols + 1;
      const auto weights = random_weights({.density = density, .in_blocks = true}, rows, cols);
      std::size_t blocks = 0, kept = 0, broken = 0;
      for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t begin = 0; begin < cols; begin += 4) {
          const auto first = weights.begin() + static_cast<std::ptrdiff_t>(row * cols + begin);
          const auto size = static_cast<std::ptrdiff_t>(std::min<std::size_t>(4, cols - begin));
          const auto zeros = std::count(first, first + size, 0.0f);
          ++blocks;
          kept += zeros == 0;
          broken += zeros != 0 && zeros != size;
        }
      }
      CHECK(broken == 0);
      CHECK(static_cast<double>(kept) / static_cast<double>(blocks) == Approx(density).margin(0.03));
    }
  }
}

TEST_CASE("what formats are told of a structure is what its random weights have") {
  const Sparsity structures[] = {{1.0, 0}, {0.3, 0}, {.density = 0.3, .in_blocks = true}, {0.5, 4}, {0.25, 4}, {4.0 / 64, 64}, {12.0 / 64, 64},
                                 {0.5, 2}, {2.0 / 3, 3}, {1.0 / 8, 8}};
  for (const Sparsity& sparsity : structures) {
    CAPTURE(structure_name(sparsity), sparsity.density);
    const std::size_t rows = 64, cols = 1536;
    ZeroCount count;
    count.add(random_weights(sparsity, rows, cols).data(), rows, cols);
    CHECK(count.zeros().density == Approx(sparsity.zeros().density).epsilon(0.03));
    CHECK(count.zeros().block_density == Approx(sparsity.zeros().block_density).epsilon(0.03));
  }
}
