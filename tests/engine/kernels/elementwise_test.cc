#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/engine/kernels/fixtures.h"

using namespace colonnade;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

/// 0 … 2N + 1 lanes, primes and a long row.
std::vector<std::size_t> counts() {
  std::vector<std::size_t> list;
  for (std::size_t n = 0; n <= 70; ++n) list.push_back(n);
  for (const std::size_t n : {127u, 128u, 257u, 1021u, 4096u}) list.push_back(n);
  return list;
}

std::vector<const KernelTable*> all_tables() {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  return tables;
}

double relative(double got, double want, double floor) { return std::fabs(got - want) / (std::fabs(want) + floor); }

/// A copy that starts one float past a 64-byte boundary and ends where it says.
struct Misaligned {
  AlignedBuffer<float> buffer;
  explicit Misaligned(const std::vector<float>& values) : buffer(values.size() + 1) {
    for (std::size_t i = 0; i < values.size(); ++i) buffer[i + 1] = values[i];
  }
  float* data() { return buffer.data() + 1; }
  std::vector<float> values() {
    std::vector<float> copy(buffer.size() - 1);
    for (std::size_t i = 0; i < copy.size(); ++i) copy[i] = buffer[i + 1];
    return copy;
  }
};

}  // namespace

TEST_CASE("functions of each element have the right values at every length, and the same bits everywhere") {
  for (const std::size_t n : counts()) {
    const auto x = normal_values(n, 1), y = normal_values(n, 2), weight = normal_values(n, 3);
    auto gate = normal_values(n, 4, 5.0f);
    if (n > 3) {
      gate[0] = -200.0f;
      gate[1] = 200.0f;
      gate[2] = 0.0f;
    }
    std::vector<std::vector<float>> first;
    for (const KernelTable* table : all_tables()) {
      CAPTURE(table->name, n);
      Misaligned sum(x), scaled(x), gated(gate), normed(x), turned(x), squashed(gate), weighted(x);
      Misaligned by(y), weights(weight);
      table->add(sum.data(), by.data(), n);
      table->add_scaled(scaled.data(), by.data(), 0.3f, n);
      table->silu_gate(gated.data(), by.data(), n);
      table->rms_norm(normed.data(), weights.data(), 1e-5f, n, normed.data());  // in place
      table->scale_by(weighted.data(), weights.data(), 0.3f, n);
      table->sigmoid(squashed.data(), n);
      const std::size_t pairs = n / 2;
      table->rope(turned.data(), by.data(), weights.data(), static_cast<int>(pairs));

      double squares = 0, error = 0;
      for (std::size_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
      const auto got_sum = sum.values(), got_scaled = scaled.values(), got_gated = gated.values(),
                 got_normed = normed.values(), got_turned = turned.values(), got_squashed = squashed.values(), got_weighted = weighted.values();
      for (std::size_t i = 0; i < n; ++i) {
        const auto a = static_cast<double>(x[i]), b = static_cast<double>(y[i]), g = static_cast<double>(gate[i]);
        error = std::max(error, relative(static_cast<double>(got_sum[i]), a + b, 1));
        error = std::max(error, relative(static_cast<double>(got_scaled[i]), a + static_cast<double>(0.3f) * b, 1));
        error = std::max(error, relative(static_cast<double>(got_gated[i]), g / (1 + std::exp(-g)) * b, 1e-20));
        error = std::max(error, relative(static_cast<double>(got_normed[i]),
                                         a * factor * static_cast<double>(weight[i]), 1e-3));
        error = std::max(error, relative(static_cast<double>(got_squashed[i]), 1 / (1 + std::exp(-g)), 1e-20));
        error = std::max(error, relative(static_cast<double>(got_weighted[i]), a * static_cast<double>(0.3f) * static_cast<double>(weight[i]), 1));
        double want = a;
        if (i < pairs) {
          want = a * static_cast<double>(y[i]) -
                 static_cast<double>(x[i + pairs]) * static_cast<double>(weight[i]);
        } else if (i < 2 * pairs) {
          want = a * static_cast<double>(y[i - pairs]) +
                 static_cast<double>(x[i - pairs]) * static_cast<double>(weight[i - pairs]);
        }
        error = std::max(error, relative(static_cast<double>(got_turned[i]), want, 1));
      }
      CHECK(error < 1e-6);

      const std::vector<std::vector<float>> all = {got_sum, got_scaled, got_gated, got_normed, got_turned, got_squashed, got_weighted};
      if (first.empty()) first = all;
      bool same = true;
      for (std::size_t i = 0; i < all.size(); ++i) same = same && same_bits(all[i], first[i]);
      CHECK(same);
    }
  }
}

TEST_CASE("functions of a row have the right values at every length, and the same bits everywhere") {
  for (const std::size_t n : counts()) {
    const auto x = normal_values(n, 5, 3.0f), y = normal_values(n, 6);
    double dot = 0, magnitude = 1e-30, exponentials = 0, largest = -std::numeric_limits<double>::infinity();
    const float offset = 1.5f, factor = 1.25f;
    for (std::size_t i = 0; i < n; ++i) {
      const double product = static_cast<double>(x[i]) * static_cast<double>(y[i]);
      dot += product;
      magnitude += std::fabs(product);
      exponentials += std::exp((static_cast<double>(x[i]) - 1.5) * 1.25);
      largest = std::max(largest, static_cast<double>(x[i]));
    }
    const float dot_bits = scalar_table().dot(x.data(), y.data(), n);
    const float exp_bits = scalar_table().sum_exp(x.data(), offset, factor, n);
    for (const KernelTable* table : all_tables()) {
      CAPTURE(table->name, n);
      Misaligned from(x), with(y);
      const float got_dot = table->dot(from.data(), with.data(), n);
      const float got_exp = table->sum_exp(from.data(), offset, factor, n);
      CHECK(std::fabs(static_cast<double>(got_dot) - dot) <= 1e-6 * magnitude);
      CHECK(relative(static_cast<double>(got_exp), exponentials, 1e-30) < 2e-6);
      CHECK(static_cast<double>(table->max_value(from.data(), n)) == largest);
      CHECK(std::memcmp(&got_dot, &dot_bits, sizeof(float)) == 0);
      CHECK(std::memcmp(&got_exp, &exp_bits, sizeof(float)) == 0);
    }
  }
}

TEST_CASE("the exponential is right over its whole range") {
  for (const KernelTable* table : all_tables()) {
    CAPTURE(table->name);
    const auto exp_of = [&](float x) { return table->sum_exp(&x, 0.0f, 1.0f, 1); };
    double worst = 0;
    for (float x = -86.9f; x < 88.6f; x += 0.0371f) {
      worst = std::max(worst, relative(static_cast<double>(exp_of(x)), std::exp(static_cast<double>(x)), 0));
    }
    CHECK(worst < 2e-7);
    for (float x = -103.0f; x < -87.0f; x += 0.1f) {  // subnormal: right to their spacing
      const double error = static_cast<double>(exp_of(x)) - std::exp(static_cast<double>(x));
      if (std::fabs(error) > 1.5e-45) FAIL_CHECK("exp(" << x << ")");
    }
    CHECK(exp_of(0.0f) == 1.0f);
    CHECK(exp_of(-110.0f) == 0.0f);
    CHECK(exp_of(-std::numeric_limits<float>::infinity()) == 0.0f);
    CHECK(exp_of(-3e38f) == 0.0f);
    CHECK(std::isinf(exp_of(100.0f)));
    CHECK(std::isnan(exp_of(std::numeric_limits<float>::quiet_NaN())));
  }
}

TEST_CASE("quantisation keeps every value within half a step, the same on every instruction set") {
  for (std::size_t n : counts()) {
    n = std::max<std::size_t>(n, 1);
    const std::size_t groups = (n + 63) / 64;
    auto x = normal_values(n, static_cast<unsigned>(n), 2.0f);
    if (n > 64) std::fill_n(x.begin(), 64, 0.0f);                                     // a group of zeros
    if (n > 128) std::transform(&x[64], &x[64] + 64, &x[64], [](float v) { return v * 1e-44f; });  // of subnormals
    AlignedBuffer<std::int8_t> first;
    for (const KernelTable* table : all_tables()) {
      CAPTURE(table->name, n);
      Misaligned from(x);
      AlignedBuffer<std::int8_t> q8(groups * 64);
      std::memset(q8.data(), 77, q8.size());
      AlignedBuffer<float> scales(groups);
      AlignedBuffer<std::int32_t> sums(groups);
      table->quantize(from.data(), n, q8.data(), scales.data(), sums.data());
      double worst = 0;
      bool consistent = true;
      for (std::size_t g = 0; g < groups; ++g) {
        float largest = 0;
        std::int32_t sum = 0;
        const std::size_t end = std::min(n, g * 64 + 64);
        for (std::size_t i = g * 64; i < end; ++i) largest = std::max(largest, std::fabs(x[i]));
        consistent = consistent && scales[g] == largest / 127.0f;
        for (std::size_t i = g * 64; i < g * 64 + 64; ++i) {
          sum += q8[i];
          if (i >= end) consistent = consistent && q8[i] == 0;
          if (i >= end || largest < 1e-30f) continue;
          const double back = static_cast<double>(q8[i]) * static_cast<double>(scales[g]);
          worst = std::max(worst, std::fabs(back - static_cast<double>(x[i])) / static_cast<double>(scales[g]));
        }
        consistent = consistent && sum == sums[g];
      }
      CHECK(worst < 0.5001);
      CHECK(consistent);
      if (first.size() == 0) first = std::move(q8);
      else CHECK(same_bits(first, q8));
    }
  }
}

TEST_CASE("quantisation rounds halves to even") {
  std::vector<float> x(64, 0.0f);
  x[0] = 127.0f;
  x[1] = 0.5f;
  x[2] = 1.5f;
  x[3] = -2.5f;
  for (const KernelTable* table : all_tables()) {
    std::int8_t q8[64];
    float scale = 0;
    std::int32_t sum = 0;
    table->quantize(x.data(), 64, q8, &scale, &sum);
    CAPTURE(table->name);
    CHECK(scale == 1.0f);
    CHECK(static_cast<int>(q8[1]) == 0);
    CHECK(static_cast<int>(q8[2]) == 2);
    CHECK(static_cast<int>(q8[3]) == -2);
    CHECK(sum == 127);
  }
}
