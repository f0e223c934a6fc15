#include "shard/prune/layer_statistics.h"

namespace colonnade::shard {

LayerStatistics::LayerStatistics(const LayerMatrices& matrices, const Compute& compute, MemoryMeter& meter, bool with_gram)
    : matrices_(matrices), compute_(compute) {
  for (const LayerInput& input : matrices.inputs) inputs_.emplace_back(meter, input.cols, with_gram);
}

void LayerStatistics::attach(const LayerModel& layer) {
  for (std::size_t i = 0; i < matrices_.inputs.size(); ++i) {
    // Matrices with the same input are shown the same rows, and so are the pieces of one that lie below each other: one counts.
    const LayerMatrix& matrix = matrices_.matrices[matrices_.inputs[i].matrices.front()];
    for (const MatrixPiece& piece : matrix.pieces)
      if (piece.place.first_row == 0)
        places_[layer.strip_offsets(piece.path, piece.matrix)] = {i, piece.place.first_col, piece.place.n_cols};
  }
}

void LayerStatistics::multiplied(const engine::MatrixView& matrix, const engine::Activations& input, int n_tokens) {
  const auto at = places_.find(matrix.strip_offsets);
  if (at == places_.end()) return;
  inputs_[at->second.input].add(compute_, at->second.first_col, at->second.cols, input, static_cast<std::size_t>(n_tokens));
}

void LayerStatistics::finish() {
  for (InputStatistics& input : inputs_) input.finish(compute_);
}

}  // namespace colonnade::shard
