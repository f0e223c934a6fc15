// Prunes the matrices of one layer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "shard/prune/layer_sums.h"
#include "shard/prune/prune_matrix.h"
#include "shard/prune/pruned_tensors.h"

namespace colonnade::shard {

struct LayerOutcome {
  std::size_t weights = 0;
  std::size_t kept = 0;
  double lost = 0, total = 0;
  std::vector<std::string> weak_experts = {};
};

/// What is passed by reference must outlive it. Its functions are collective over the ranks of the task.
class LayerPruner {
 public:
  LayerPruner(const LayerTask& task, const MatrixRules& rules, double damping) : task_(task), rules_(rules), damping_(damping) {}

  /// Runs the layer as it is and gathers statistics; the activations stay as they are.
  Status calibrate(CalibrationBatch& batch);

  /// Prunes all matrices. Rank 0 adds them to `file` and has the outcome; `on_weights` is told there how many are done.
  Result<LayerOutcome> prune(PrunedLayout layout, SafetensorsFile& file, const std::function<void(std::size_t)>& on_weights);

 private:
  /// Rows of a matrix that this rank has pruned, for rank 0.
  struct Pruned {
    std::size_t matrix;
    MatrixOutcome outcome;
    std::vector<std::uint16_t> values;  // bf16
  };
  Status prune_own(PrunedTensors& tensors, const std::function<void(std::size_t)>& on_weights, LayerOutcome& outcome);
  Status prune_input(std::size_t index, PrunedTensors& tensors, const std::function<void(std::size_t)>& on_weights, LayerOutcome& outcome);
  /// What the others have pruned comes to rank 0, in the order of the layer.
  Status collect(PrunedTensors& tensors, const std::function<void(std::size_t)>& on_weights, LayerOutcome& outcome);
  /// False where an expert's own statistics are not to be relied upon.
  bool is_known(std::size_t input) const;
  /// Statistics of all experts together take the place of those of one that has too few.
  Status average_experts();
  std::vector<std::string> weak_experts() const;

  const LayerTask& task_;
  const MatrixRules& rules_;
  double damping_;
  std::unique_ptr<LayerSums> sums_;
  FloatMatrix average_gram_;  // of the block inputs of all experts, a token each; only where an expert needs it
  std::vector<float> average_norms_;
  std::vector<Pruned> pruned_;  // not on rank 0
};

/// The weights of a layer from the file that was made of it, and its vectors from the source. Both must outlive it.
PathProvider pruned_provider(const SourceModel& model, const TensorSource& pruned);

/// Most bytes that rank `rank` holds while a layer is pruned: with `window_tokens` 0 without calibration.
std::uint64_t prune_layer_bytes(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, const LayerMatrices& matrices,
                                const LayerShares& shares, int rank, int layer, const MatrixRules& rules, PrunedLayout layout,
                                std::size_t window_tokens, int n_threads);

}  // namespace colonnade::shard
