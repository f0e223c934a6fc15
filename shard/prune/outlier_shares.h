// Outliers of each layer of a dense model, from a pass of calibration through it: what the rates of OWL follow.
#pragma once

#include <functional>

#include "shard/prune/layer_sums.h"

namespace colonnade::shard {

/// The share of outliers among the scores of a layer's matrices. The activations become those after the layer. Collective: each rank runs its
/// text and looks at some of the matrices.
Result<double> outlier_share(const LayerTask& task, CalibrationBatch& batch, const std::function<void(std::size_t)>& on_tokens);

}  // namespace colonnade::shard
