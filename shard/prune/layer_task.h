// What all steps of pruning one layer work on.
#pragma once

#include "shard/prune/layer_matrices.h"
#include "shard/prune/layer_share.h"
#include "shard/prune/rank_group.h"

namespace colonnade::shard {

/// What is referred to must outlive it.
struct LayerTask {
  const SourceModel& model;
  const std::vector<PathSpec>& paths;  // the model's
  const LayerMatrices& matrices;
  int layer;
  const Compute& compute;
  MemoryMeter& meter;
  RankGroup& group;
  LayerShares shares;

  const std::vector<RowRange>& own_sums() const { return shares.sums[static_cast<std::size_t>(group.rank())]; }
  const std::vector<RowRange>& own_rows() const { return shares.rows[static_cast<std::size_t>(group.rank())]; }
};

}  // namespace colonnade::shard
