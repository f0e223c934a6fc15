// The best values of kept weights once it is decided which are kept.
#pragma once

#include "shard/prune/row_group.h"

namespace colonnade::shard {

/// Changes the kept values of each row to those with the least (w - x) H transposed(w - x), w its target: least squares on the
/// row's own mask, by conjugate gradients with the diagonal as preconditioner, all rows of the group at once. A
/// Cholesky factor of each row's part of H would take kept³/6 multiplications a row; this takes cols² for each of at most
/// max_steps steps, 10 to 100 times fewer from 4096 columns on. `gram` is H, damped, whole. Values that are not kept must be 0.
void refit(const Compute& compute, const FloatMatrix& gram, int max_steps, RowGroup& group);

/// The sum over rows of x H transposed(x) for x = target - values, and for x = target. Uses difference and scratch 0.
struct Loss {
  double lost = 0;
  double total = 0;
};
Loss measure_loss(const Compute& compute, const FloatMatrix& gram, RowGroup& group);

}  // namespace colonnade::shard
