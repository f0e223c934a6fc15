#include "shard/prune/factor.h"

#include <catch2/catch.hpp>

#include "shard/prune/input_statistics.h"
#include "tests/shard/prune/naive.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;

namespace {

FloatMatrix gram_of(const Compute& compute, MemoryMeter& meter, const std::vector<float>& x, std::size_t cols) {
  FloatMatrix gram(meter, cols, cols);
  add_gram(compute, x.data(), cols, x.size() / cols, gram);
  mirror_upper(compute, gram);
  return gram;
}

}  // namespace

TEST_CASE("sums of outer products are those of a plain loop, at odd sizes and on any number of threads") {
  MemoryMeter meter;
  for (const std::size_t cols : {1u, 17u, 97u, 130u}) {
    const auto x = correlated_inputs(301, cols, 1);
    const Doubles expected = naive_gram(x, cols, 0);
    TestCompute one(1), three(3);
    const FloatMatrix gram = gram_of(one.compute, meter, x, cols), same = gram_of(three.compute, meter, x, cols);
    for (std::size_t i = 0; i < cols; ++i)
      for (std::size_t j = 0; j < cols; ++j) {
        REQUIRE(std::fabs(gram.row(i)[j] - expected[i][j]) < 1e-5 * std::sqrt(expected[i][i] * expected[j][j]));
        REQUIRE(same.row(i)[j] == gram.row(i)[j]);
      }
  }
}

TEST_CASE("the factor of a matrix multiplies out to it") {
  MemoryMeter meter;
  for (const std::size_t cols : {1u, 3u, 127u, 128u, 129u, 300u}) {
    CAPTURE(cols);
    const auto x = correlated_inputs(400, cols, 2);
    TestCompute two(2);
    FloatMatrix gram = gram_of(two.compute, meter, x, cols);
    add_damping(gram, 0.01);
    const Doubles expected = naive_gram(x, cols, 0.01);
    Factor factor;
    REQUIRE(factor_upper(two.compute, std::move(gram), factor));
    for (std::size_t i = 0; i < cols; ++i)
      for (std::size_t j = i; j < cols; ++j) {
        double sum = 0;
        for (std::size_t k = j; k < cols; ++k)
          sum += static_cast<double>(k == i ? 1.0f : factor.feedback.row(i)[k]) * factor.variance[k] * (k == j ? 1.0f : factor.feedback.row(j)[k]);
        REQUIRE(std::fabs(sum - expected[i][j]) < 1e-4 * std::sqrt(expected[i][i] * expected[j][j]));
      }
  }
}

TEST_CASE("a matrix that is not positive definite has no factor") {
  MemoryMeter meter;
  TestCompute one(1);
  FloatMatrix matrix(meter, 2, 2);
  matrix.row(0)[0] = matrix.row(1)[1] = 1;
  matrix.row(0)[1] = matrix.row(1)[0] = 2;
  Factor factor;
  CHECK_FALSE(factor_upper(one.compute, std::move(matrix), factor));
}

TEST_CASE("statistics of rows that come in pieces, by index and in steps of any size are those of all rows") {
  MemoryMeter meter;
  TestCompute two(2);
  constexpr std::size_t kCols = 40, kTokens = 700;
  const auto x = correlated_inputs(kTokens, kCols, 3);
  const Doubles expected = naive_gram(x, kCols, 0);
  {
    InputStatistics whole(meter, kCols, true), squares(meter, kCols, false);
    std::vector<std::int32_t> rows(kTokens);
    for (std::size_t t = 0; t < kTokens; ++t) rows[t] = static_cast<std::int32_t>(kTokens - 1 - t);
    std::size_t at = 0;
    for (const std::size_t step : {1u, 300u, 20u, 379u}) {
      engine::Activations left;
      left.values = x.data();
      left.stride = kCols;
      left.rows = rows.data() + at;
      engine::Activations right = left;
      right.values += 15;
      for (InputStatistics* statistics : {&whole, &squares}) {
        statistics->add(two.compute, 15, kCols - 15, right, step);
        statistics->add(two.compute, 0, 15, left, step);
      }
      at += step;
    }
    whole.finish(two.compute);
    squares.finish(two.compute);
    mirror_upper(two.compute, whole.gram());
    CHECK(whole.n_tokens() == kTokens);
    for (std::size_t i = 0; i < kCols; ++i) {
      CHECK(squares.squares()[i] == Approx(expected[i][i]).epsilon(1e-9));
      for (std::size_t j = 0; j < kCols; ++j)
        CHECK(std::fabs(whole.gram().row(i)[j] - expected[i][j]) < 1e-5 * std::sqrt(expected[i][i] * expected[j][j]));
    }
  }
  CHECK(meter.held_bytes() == 0);
  CHECK(meter.peak_bytes() >= kCols * kCols * 4);
}
