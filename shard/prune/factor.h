// The two large computations on input statistics: sums of outer products, and the triangular factor of such a sum.
#pragma once

#include <cstddef>
#include <vector>

#include "shard/prune/compute.h"

namespace colonnade::shard {

/// Ranks share out sums of outer products in multiples of so many rows.
inline constexpr std::size_t kGramTileRows = 96;

/// gram += transposed(x) * x for x (n_tokens, cols) with row stride `stride`: the upper triangle only. `gram` may be some rows of the
/// whole, from `first_row` on: a multiple of kGramTileRows, as is their number unless they are the last.
void add_gram(const Compute& compute, const float* x, std::size_t stride, std::size_t n_tokens, FloatMatrix& gram,
              std::size_t first_row = 0);

/// Copies the upper triangle to the lower one.
void mirror_upper(const Compute& compute, FloatMatrix& matrix);

/// H = F * diag(variance) * transposed(F), F unit upper triangular: variance[j] is what is left of input j when the
/// inputs after it are known. So the loss of weights q in place of w, x H transposed(x) for x = w - q, is
/// sum over j of variance[j] * (e[j] - q[j])², e[j] = w[j] + sum over k < j of (w[k] - q[k]) * F[k][j]: columns can be pruned
/// and rounded one after the other, each making up for those before it (Frantar et al. 2023, arXiv:2301.00774, in the
/// form of Chee et al. 2023, arXiv:2307.13304).
struct Factor {
  FloatMatrix feedback;          // F; below the diagonal: not defined
  std::vector<float> variance;   // by column
};

/// Factors a symmetric matrix (upper triangle) in place of `matrix`. False when it is not positive definite in fp32;
/// then `matrix` is lost.
bool factor_upper(const Compute& compute, FloatMatrix matrix, Factor& out);

/// Adds `share` of the diagonal's mean to the diagonal.
void add_damping(FloatMatrix& matrix, double share);

}  // namespace colonnade::shard
