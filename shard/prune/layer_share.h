// Who does what when several ranks prune a layer. Shares follow from the layer and the number of ranks alone, and
// are runs: rank 0 has the first rows of statistics and of matrices, the last rank the last ones. So few ranks have to do with one
// input, and what they made is put together rank by rank. No number depends on who computed it.
#pragma once

#include <vector>

#include "shard/prune/layer_matrices.h"
#include "shard/prune/prune_matrix.h"

namespace colonnade::shard {

struct LayerShares {
  std::vector<std::vector<RowRange>> sums;  // [rank][input]: rows of the sum of outer products; without them all rows are one rank's
  std::vector<std::vector<RowRange>> rows;  // [rank][matrix]: those that it prunes

  /// Ranks that hold rows of an input's sum, ascending: they see its rows.
  std::vector<int> owners_of(std::size_t input) const;
  /// Ranks that prune rows of a matrix with this input: they need its whole sum.
  std::vector<int> users_of(const LayerInput& input) const;
};

LayerShares share_layer(const LayerMatrices& matrices, bool with_gram, int n_ranks);

}  // namespace colonnade::shard
