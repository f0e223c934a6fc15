// Inputs, weights and plain double-precision references for the tests of pruning.
#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/platform/team.h"
#include "shard/prune/compute.h"

namespace colonnade::tests {

using Doubles = std::vector<std::vector<double>>;

/// The best kernels of this machine on a team of so many threads.
struct TestCompute {
  std::unique_ptr<engine::ThreadTeam> team;
  shard::Compute compute;
  explicit TestCompute(int threads, const char* isa = "")
      : team(std::move(*engine::ThreadTeam::make({}, threads, 0))), compute{**engine::choose_kernels(isa), *team} {}
};

/// Rows of correlated inputs of unequal size, as those of trained models are.
inline std::vector<float> correlated_inputs(std::size_t n_tokens, std::size_t cols, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n_tokens * cols);
  for (std::size_t t = 0; t < n_tokens; ++t) {
    const float shared = normal(random), other = normal(random);
    for (std::size_t c = 0; c < cols; ++c)
      x[t * cols + c] = (0.7f * normal(random) + (c % 3 == 0 ? shared : other)) * (0.2f + static_cast<float>(c % 7));
  }
  return x;
}

inline shard::FloatMatrix random_matrix(shard::MemoryMeter& meter, std::size_t rows, std::size_t cols, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  shard::FloatMatrix matrix(meter, rows, cols);
  for (std::size_t i = 0; i < matrix.size(); ++i) matrix.data()[i] = normal(random);
  return matrix;
}

/// sum of outer products, and `share` of the diagonal's mean on the diagonal.
inline Doubles naive_gram(const std::vector<float>& x, std::size_t cols, double share) {
  Doubles h(cols, std::vector<double>(cols));
  for (std::size_t t = 0; t < x.size() / cols; ++t)
    for (std::size_t i = 0; i < cols; ++i)
      for (std::size_t j = 0; j < cols; ++j) h[i][j] += static_cast<double>(x[t * cols + i]) * x[t * cols + j];
  double mean = 0;
  for (std::size_t i = 0; i < cols; ++i) mean += h[i][i] / static_cast<double>(cols);
  for (std::size_t i = 0; i < cols; ++i) h[i][i] += share * mean;
  return h;
}

/// Gauss-Jordan.
inline Doubles naive_inverse(Doubles a) {
  const std::size_t n = a.size();
  Doubles inverse(n, std::vector<double>(n));
  for (std::size_t i = 0; i < n; ++i) inverse[i][i] = 1;
  for (std::size_t p = 0; p < n; ++p) {
    const double pivot = a[p][p];
    for (std::size_t j = 0; j < n; ++j) a[p][j] /= pivot, inverse[p][j] /= pivot;
    for (std::size_t i = 0; i < n; ++i) {
      if (i == p) continue;
      const double factor = a[i][p];
      for (std::size_t j = 0; j < n; ++j) a[i][j] -= factor * a[p][j], inverse[i][j] -= factor * inverse[p][j];
    }
  }
  return inverse;
}

/// U upper with transposed(U) * U = a.
inline Doubles naive_upper_cholesky(const Doubles& a) {
  const std::size_t n = a.size();
  Doubles u(n, std::vector<double>(n));
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i; j < n; ++j) {
      double sum = a[i][j];
      for (std::size_t k = 0; k < i; ++k) sum -= u[k][i] * u[k][j];
      u[i][j] = i == j ? std::sqrt(sum) : sum / u[i][i];
    }
  return u;
}

inline double naive_loss(const std::vector<double>& x, const Doubles& h) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < x.size(); ++j) sum += x[i] * h[i][j] * x[j];
  return sum;
}

}  // namespace colonnade::tests
