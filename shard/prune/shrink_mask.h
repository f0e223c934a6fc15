// Takes more weights away from those that are left: for pruning in several rounds with a refit between them.
#pragma once

#include "shard/prune/row_group.h"
#include "shard/prune/structure.h"

namespace colonnade::shard {

/// Of all weights of the group `sparsity` become zeros: those that are, and the kept ones with the least value² * gram[j][j] (the sum over a unit of
/// several columns: with what they have in common, value H transposed(value), the loss was no smaller), in all rows of the group or, with groups of columns, in each row's.
void shrink_mask(const FloatMatrix& gram, const Structure& structure, double sparsity, RowGroup& group);

}  // namespace colonnade::shard
