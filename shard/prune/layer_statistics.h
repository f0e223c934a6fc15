// Gathers the statistics of a layer's inputs while the layer runs.
#pragma once

#include <unordered_map>
#include <vector>

#include "engine/model/tap.h"
#include "shard/prune/input_statistics.h"
#include "shard/prune/layer_matrices.h"
#include "shard/prune/layer_model.h"

namespace colonnade::shard {

/// Driven by the thread that runs the layer.
class LayerStatistics final : public engine::ActivationTap {
 public:
  LayerStatistics(const LayerMatrices& matrices, const Compute& compute, MemoryMeter& meter, bool with_gram);

  /// Which matrices `layer` will show. Before it runs.
  void attach(const LayerModel& layer);

  void multiplied(const engine::MatrixView& matrix, const engine::Activations& input, int n_tokens) override;

  /// No more steps.
  void finish();

  InputStatistics& of_input(std::size_t input) { return inputs_[input]; }
  /// Gives back the memory of one.
  void forget(std::size_t input) { inputs_[input].forget(); }

 private:
  struct Place {
    std::size_t input, first_col, cols;
  };
  const LayerMatrices& matrices_;
  const Compute& compute_;
  std::vector<InputStatistics> inputs_;
  std::unordered_map<const std::uint64_t*, Place> places_;  // by strip offsets: what is counted
};

}  // namespace colonnade::shard
