// Prunes the matrices of one layer.
#pragma once

#include <string>
#include <vector>

#include "engine/base/progress.h"
#include "shard/prune/layer_statistics.h"
#include "shard/prune/prune_matrix.h"
#include "shard/prune/pruned_tensors.h"

namespace colonnade::shard {

struct LayerOutcome {
  std::size_t weights = 0;
  std::size_t kept = 0;
  double lost = 0, total = 0;
  std::vector<std::string> weak_experts = {};
};

/// What is passed by reference must outlive it.
class LayerPruner {
 public:
  LayerPruner(const SourceModel& model, const std::vector<PathSpec>& paths, const LayerMatrices& matrices, int layer,
              const MatrixRules& rules, double damping, const Compute& compute, MemoryMeter& meter);

  /// Runs the layer as it is and gathers statistics; the activations stay as they are.
  Status calibrate(CalibrationBatch& batch);

  /// Prunes all matrices and adds them to `file`; progress counts weights.
  Result<LayerOutcome> prune(PrunedLayout layout, SafetensorsFile& file, Progress& progress);

 private:
  Status prune_input(std::size_t index, PrunedTensors& tensors, Progress& progress, LayerOutcome& outcome);
  /// False where an expert's own statistics are not to be relied upon.
  bool is_known(const LayerInput& input, const InputStatistics& statistics) const;
  /// Statistics of all experts together take the place of those of one that has too few.
  void average_experts();

  const SourceModel& model_;
  const std::vector<PathSpec>& paths_;
  const LayerMatrices& matrices_;
  int layer_;
  const MatrixRules& rules_;
  double damping_;
  const Compute& compute_;
  MemoryMeter& meter_;
  std::unique_ptr<LayerStatistics> statistics_;
  FloatMatrix average_gram_;  // of the block inputs of all experts, a token each; only where an expert needs it
  std::vector<float> average_norms_;
};

/// The weights of a layer from the file that was made of it, and its vectors from the source. Both must outlive it.
PathProvider pruned_provider(const SourceModel& model, const TensorSource& pruned);

/// Most bytes that pruning a layer holds: with `window_tokens` 0 without calibration.
std::uint64_t prune_layer_bytes(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, const LayerMatrices& matrices,
                                int layer, const MatrixRules& rules, PrunedLayout layout, std::size_t window_tokens, int n_threads);

}  // namespace colonnade::shard
