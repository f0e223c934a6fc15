#include <catch2/catch.hpp>

#include <cmath>
#include <functional>

#include "tests/engine/kernels/fixtures.h"

using namespace colonnade;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

/// Applies `function` of each table to copies of x and compares with `expected`; all tables must give the same bits.
void check(const std::vector<float>& x, double tolerance, const std::function<void(const KernelTable&, float*)>& function,
           const std::function<double(std::size_t)>& expected) {
  std::vector<float> first = x;
  function(scalar_table(), first.data());
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double error = std::fabs(static_cast<double>(first[i]) - expected(i));
    worst = std::isnan(error) ? 1e300 : std::max(worst, error / (1 + std::fabs(expected(i))));
  }
  CHECK(worst < tolerance);
  for (const KernelTable* table : vector_tables()) {
    CAPTURE(table->name);
    std::vector<float> again = x;
    function(*table, again.data());
    CHECK(same_bits(again, first));
  }
}

}  // namespace

TEST_CASE("activation functions have the right values, far from zero too, and the same bits everywhere") {
  for (const std::size_t n : {0u, 1u, 3u, 15u, 16u, 17u, 33u, 67u, 1021u}) {
    CAPTURE(n);
    auto x = normal_values(n, 1, 4.0f);
    const auto up = normal_values(n, 2, 5.0f);
    if (n > 8) {
      const float far[] = {-1e4f, 1e4f, -40.0f, 40.0f, 0.0f, -6.0f, 6.0f, 1e-6f};
      std::copy(std::begin(far), std::end(far), x.begin());
    }
    const auto g = [&](std::size_t i) { return static_cast<double>(x[i]); };
    const auto u = [&](std::size_t i) { return static_cast<double>(up[i]); };
    check(x, 2e-6, [&](const KernelTable& table, float* row) { table.gelu_tanh_gate(row, up.data(), n); },
          [&](std::size_t i) {
            return 0.5 * g(i) * (1 + std::tanh(0.7978845608028654 * (g(i) + 0.044715 * g(i) * g(i) * g(i)))) * u(i);
          });
    check(x, 2e-6, [&](const KernelTable& table, float* row) { table.clamped_swish_gate(row, up.data(), 7.0f, 1.702f, n); },
          [&](std::size_t i) {
            const double clamped = std::min(g(i), 7.0), factor = std::clamp(u(i), -7.0, 7.0) + 1;
            return clamped / (1 + std::exp(-static_cast<double>(1.702f) * clamped)) * factor;
          });
    check(x, 4e-7, [&](const KernelTable& table, float* row) { table.gelu_erf(row, n); },
          [&](std::size_t i) { return 0.5 * g(i) * std::erfc(-g(i) / std::sqrt(2.0)); });
    check(x, 9e-6, [&](const KernelTable& table, float* row) { table.soft_cap(row, 30.0f, n); },
          [&](std::size_t i) { return 30.0 * std::tanh(g(i) / 30.0); });
  }
}

TEST_CASE("gelu by the error function is within 3e-7 everywhere, and exact far from zero") {
  std::vector<float> x;
  for (int i = -6000; i <= 6000; ++i) x.push_back(static_cast<float>(i) / 1000.0f);
  // Where pieces of the approximation meet, and its end.
  for (int piece = 0; piece < 8; ++piece) {
    const float edge = 5.25f / 7.75f * static_cast<float>(piece);
    for (const float at : {edge, std::nextafter(edge, 9.0f), std::nextafter(edge, -9.0f)}) x.insert(x.end(), {at, -at});
  }
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const KernelTable* table : tables) {
    CAPTURE(table->name);
    std::vector<float> y = x;
    table->gelu_erf(y.data(), y.size());
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto value = static_cast<double>(x[i]);
      const double error = std::fabs(static_cast<double>(y[i]) - 0.5 * value * std::erfc(-value / std::sqrt(2.0)));
      worst = std::isnan(error) ? 1e300 : std::max(worst, error / std::max(1.0, std::fabs(value)));
    }
    CHECK(worst < 3e-7);
    std::vector<float> far = {5.25f, 6.0f, 1e4f, 3e38f, -5.25f, -6.0f, -1e4f, -3e38f, NAN};
    table->gelu_erf(far.data(), far.size());
    for (std::size_t i = 0; i < 4; ++i) CHECK(far[i] == std::vector<float>{5.25f, 6.0f, 1e4f, 3e38f}[i]);
    for (std::size_t i = 4; i < 8; ++i) CHECK(far[i] == 0.0f);
    CHECK(std::isnan(far[8]));
  }
}

TEST_CASE("layer norm has mean and variance of exactly its row") {
  for (const std::size_t n : {1u, 3u, 15u, 16u, 17u, 33u, 384u, 1021u}) {
    CAPTURE(n);
    auto x = normal_values(n, 3, 2.0f);
    for (float& value : x) value += 5.0f;
    const auto weight = normal_values(n, 4), bias = normal_values(n, 5);
    double mean = 0, variance = 0;
    for (const float value : x) mean += static_cast<double>(value) / static_cast<double>(n);
    for (const float value : x) variance += std::pow(static_cast<double>(value) - mean, 2) / static_cast<double>(n);
    check(x, 4e-6,
          [&](const KernelTable& table, float* row) { table.layer_norm(row, weight.data(), bias.data(), 1e-3f, n, row); },
          [&](std::size_t i) {
            return (static_cast<double>(x[i]) - mean) / std::sqrt(variance + static_cast<double>(1e-3f)) *
                       static_cast<double>(weight[i]) +
                   static_cast<double>(bias[i]);
          });
  }
}
