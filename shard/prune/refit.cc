#include "shard/prune/refit.h"

#include <array>

namespace colonnade::shard {
namespace {

using Lanes = std::array<double, kRowGroup>;

/// Residuals smaller than this share of the first ones are as good as fp32 sums get.
constexpr double kDone = 1e-7;

void multiply(const Compute& compute, const FloatMatrix& gram, const float* x, std::size_t cols, float* out) {
  std::fill_n(out, cols * kRowGroup, 0.0f);
  compute.kernels.add_product({gram.data(), gram.cols(), x, kRowGroup, out, kRowGroup, cols, kRowGroup, cols});
}

/// sums[r] += x[r] * y[r]
void add_products(const float* x, const float* y, Lanes& sums) {
  for (std::size_t r = 0; r < kRowGroup; ++r) sums[r] += static_cast<double>(x[r] * y[r]);
}

Lanes dot(const float* x, const float* y, std::size_t cols) {
  Lanes sums{};
  for (std::size_t col = 0; col < cols; ++col) add_products(x + col * kRowGroup, y + col * kRowGroup, sums);
  return sums;
}

}  // namespace

void refit(const Compute& compute, const FloatMatrix& gram, int max_steps, RowGroup& group) {
  const std::size_t cols = group.cols;
  float* const residual = group.difference(0);     // of the kept weights: H (w - x), 0 elsewhere
  float* const direction = group.scratch(0, 0);
  float* const product = group.scratch(1, 0);
  const auto at = [](float* rows, std::size_t col) { return rows + col * kRowGroup; };
  const auto inverse = [&](std::size_t col) { return 1.0f / gram.row(col)[col]; };

  for (std::size_t col = 0; col < cols; ++col)
    for (std::size_t r = 0; r < kRowGroup; ++r) at(direction, col)[r] = group.target(col)[r] - group.values(col)[r];
  multiply(compute, gram, direction, cols, residual);
  Lanes rho{};  // residual * preconditioned residual
  for (std::size_t col = 0; col < cols; ++col) {
    const std::uint8_t* const keep = group.keep(col);
    for (std::size_t r = 0; r < kRowGroup; ++r) {
      if (keep[r] == 0) at(residual, col)[r] = 0;
      at(direction, col)[r] = at(residual, col)[r] * inverse(col);
    }
    add_products(at(residual, col), at(direction, col), rho);
  }
  const Lanes first = rho;
  for (int step = 0; step < max_steps; ++step) {
    bool done = true;
    for (std::size_t r = 0; r < kRowGroup; ++r) done = done && rho[r] <= first[r] * kDone;
    if (done) return;
    multiply(compute, gram, direction, cols, product);
    const Lanes curvature = dot(direction, product, cols);
    std::array<float, kRowGroup> length;
    for (std::size_t r = 0; r < kRowGroup; ++r)
      length[r] = curvature[r] > 0 && rho[r] > 0 ? static_cast<float>(rho[r] / curvature[r]) : 0.0f;
    Lanes next{};
    for (std::size_t col = 0; col < cols; ++col) {
      const std::uint8_t* const keep = group.keep(col);
      float* const values = group.values(col);
      float* const rest = at(residual, col);
      for (std::size_t r = 0; r < kRowGroup; ++r) {
        values[r] += length[r] * at(direction, col)[r];
        rest[r] = keep[r] != 0 ? rest[r] - length[r] * at(product, col)[r] : 0.0f;
        next[r] += static_cast<double>(rest[r] * rest[r] * inverse(col));
      }
    }
    std::array<float, kRowGroup> carried;
    for (std::size_t r = 0; r < kRowGroup; ++r) carried[r] = rho[r] > 0 ? static_cast<float>(next[r] / rho[r]) : 0.0f;
    for (std::size_t col = 0; col < cols; ++col)
      for (std::size_t r = 0; r < kRowGroup; ++r)
        at(direction, col)[r] = at(residual, col)[r] * inverse(col) + carried[r] * at(direction, col)[r];
    rho = next;
  }
}

Loss measure_loss(const Compute& compute, const FloatMatrix& gram, RowGroup& group) {
  const std::size_t cols = group.cols;
  float* const lost = group.difference(0);
  for (std::size_t i = 0; i < cols * kRowGroup; ++i) lost[i] = group.target(0)[i] - group.values(0)[i];
  const auto energy = [&](const float* x) {
    multiply(compute, gram, x, cols, group.scratch(0, 0));
    double sum = 0;
    for (const double lane : dot(x, group.scratch(0, 0), cols)) sum += lane;
    return sum;
  };
  return {energy(lost), energy(group.target(0))};
}

}  // namespace colonnade::shard
