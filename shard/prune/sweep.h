// One pass over the columns of a row group, in which each column is pruned and rounded and those after it make up for what
// was lost: SparseGPT (Frantar & Alistarh 2023, arXiv:2301.00774) with joint GPTQ rounding (arXiv:2210.17323) on the same factor.
#pragma once

#include "shard/prune/factor.h"
#include "shard/prune/grid.h"
#include "shard/prune/row_group.h"
#include "shard/prune/structure.h"

namespace colonnade::shard {

struct SweepRules {
  bool choose_mask = false;   // else group.keep says what stays
  Structure structure = {};
  double sparsity = 0;
  const Grid* grid = nullptr;  // rounds kept weights; nullptr: they keep what they are
};

/// Replaces the group's values by pruned (and rounded) ones that stand for its targets; with choose_mask also
/// `keep`. Blocks of columns are pruned together: by the smallest loss e² * variance among their weights (or units of them) in all rows of the group,
/// or in each row's group of columns where a structure is asked for. Uses difference and scratch 0.
void sweep(const Compute& compute, const Factor& factor, const SweepRules& rules, RowGroup& group);

}  // namespace colonnade::shard
