// Gathers the statistics of a layer's inputs while the layer runs.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "engine/model/tap.h"
#include "shard/prune/input_statistics.h"
#include "shard/prune/layer_matrices.h"
#include "shard/prune/layer_model.h"

namespace colonnade::shard {

/// Finds out which input of a layer is shown. Driven by the thread that runs the layer.
class InputTap : public engine::ActivationTap {
 public:
  explicit InputTap(const LayerMatrices& matrices) : matrices_(matrices) {}

  /// Which matrices `layer` will show. Before it runs.
  void attach(const LayerModel& layer);

  void multiplied(const engine::MatrixView& matrix, const engine::Activations& input, int n_tokens) final;

 protected:
  /// Columns [first_col, first_col + count) of an input's next n_tokens rows. All columns of them come before those of the next rows.
  virtual void add(std::size_t input, std::size_t first_col, std::size_t count, const engine::Activations& rows, std::size_t n_tokens) = 0;

 private:
  struct Place {
    std::size_t input, first_col, cols;
  };
  const LayerMatrices& matrices_;
  std::unordered_map<const std::uint64_t*, Place> places_;  // by strip offsets: what is counted
};

/// Sums as the layer runs.
class LayerStatistics final : public InputTap {
 public:
  /// `sums`: by input, the rows of the sum of outer products that are summed here.
  LayerStatistics(const LayerMatrices& matrices, std::span<const RowRange> sums, const Compute& compute, MemoryMeter& meter, bool with_gram);

  void add(std::size_t input, std::size_t first_col, std::size_t count, const engine::Activations& rows, std::size_t n_tokens) override;

  /// No more steps.
  void finish();

  InputStatistics& of_input(std::size_t input) { return inputs_[input]; }

 private:
  const Compute& compute_;
  std::vector<InputStatistics> inputs_;
};

/// Keeps what it is shown, for others to sum.
class InputRecorder final : public InputTap {
 public:
  InputRecorder(const LayerMatrices& matrices, MemoryMeter& meter) : InputTap(matrices), matrices_(matrices), meter_(meter) {}

  struct Rows {
    std::size_t input;
    FloatMatrix values;
    std::size_t missing;  // columns that have not come yet
  };
  /// In the order in which they came.
  std::vector<Rows>& recorded() { return recorded_; }

 private:
  void add(std::size_t input, std::size_t first_col, std::size_t count, const engine::Activations& rows, std::size_t n_tokens) override;

  const LayerMatrices& matrices_;
  MemoryMeter& meter_;
  std::vector<Rows> recorded_;
  std::unordered_map<std::size_t, std::size_t> incomplete_;  // by input: index into recorded_
};

}  // namespace colonnade::shard
