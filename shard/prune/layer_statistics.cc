#include "shard/prune/layer_statistics.h"

#include <algorithm>

namespace colonnade::shard {

void InputTap::attach(const LayerModel& layer) {
  for (std::size_t i = 0; i < matrices_.inputs.size(); ++i) {
    // Matrices with the same input are shown the same rows, and so are the pieces of one that lie below each other: one counts.
    const LayerMatrix& matrix = matrices_.matrices[matrices_.inputs[i].matrices.front()];
    for (const MatrixPiece& piece : matrix.pieces)
      if (piece.place.first_row == 0)
        places_[layer.strip_offsets(piece.path, piece.matrix)] = {i, piece.place.first_col, piece.place.n_cols};
  }
}

void InputTap::multiplied(const engine::MatrixView& matrix, const engine::Activations& input, int n_tokens) {
  const auto at = places_.find(matrix.strip_offsets);
  if (at != places_.end()) add(at->second.input, at->second.first_col, at->second.cols, input, static_cast<std::size_t>(n_tokens));
}

LayerStatistics::LayerStatistics(const LayerMatrices& matrices, std::span<const RowRange> sums, const Compute& compute,
                                 MemoryMeter& meter, bool with_gram)
    : InputTap(matrices), compute_(compute) {
  for (std::size_t i = 0; i < matrices.inputs.size(); ++i) inputs_.emplace_back(meter, matrices.inputs[i].cols, with_gram, sums[i]);
}

void LayerStatistics::add(std::size_t input, std::size_t first_col, std::size_t count, const engine::Activations& rows,
                          std::size_t n_tokens) {
  inputs_[input].add(compute_, first_col, count, rows, n_tokens);
}

void LayerStatistics::finish() {
  for (InputStatistics& input : inputs_) input.finish(compute_);
}

void InputRecorder::add(std::size_t input, std::size_t first_col, std::size_t count, const engine::Activations& rows,
                        std::size_t n_tokens) {
  const std::size_t cols = matrices_.inputs[input].cols;
  const auto [at, is_new] = incomplete_.emplace(input, recorded_.size());
  if (is_new) recorded_.push_back({input, FloatMatrix(meter_, n_tokens, cols), cols});
  Rows& record = recorded_[at->second];
  COLONNADE_CHECK(record.values.rows() == n_tokens && count <= record.missing, "inputs of a matrix came twice");
  for (std::size_t t = 0; t < n_tokens; ++t) {
    const std::size_t row = rows.rows == nullptr ? t : static_cast<std::size_t>(rows.rows[t]);
    std::copy_n(rows.values + row * rows.stride, count, record.values.row(t) + first_col);
  }
  record.missing -= count;
  if (record.missing == 0) incomplete_.erase(at);
}

}  // namespace colonnade::shard
