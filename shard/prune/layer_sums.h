// What calibration learns of a layer's inputs, over all ranks. Each rank runs its own windows and shows the rows of inputs to those that hold
// their sums; they add them in the order of the text, so that the sums have the same bits on any number of ranks.
//
// Rows are sent and not sums of them: with hundreds of experts, sums for each part of the text would be many times larger than what
// they are made of, and every rank would have to hold all of them.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "shard/prune/layer_statistics.h"
#include "shard/prune/layer_task.h"

namespace colonnade::shard {

class LayerSums {
 public:
  /// With `with_gram` sums of outer products, else of squares only. `task` must outlive it.
  LayerSums(const LayerTask& task, bool with_gram);

  /// Runs the layer as the source has it; with `keep` the activations become those after it. `on_tokens` is told how many have passed on
  /// all ranks. Collective, as are those below.
  Status run(CalibrationBatch& batch, bool keep, const std::function<void(std::size_t)>& on_tokens);

  /// Known to all ranks.
  std::uint64_t n_tokens(std::size_t input) const { return known_[input].n_tokens; }
  const std::vector<double>& squares(std::size_t input) const { return known_[input].squares; }
  /// Root of the sum of squares, by column.
  std::vector<float> norms(std::size_t input) const;

  /// The sum of outer products over several inputs of the same width, whole, on all ranks.
  Result<FloatMatrix> total_gram(std::span<const std::size_t> inputs);

  /// Each rank gets the whole sums of those inputs whose matrices it prunes.
  Status gather();
  /// Such a sum, once.
  FloatMatrix take_gram(std::size_t input) { return std::move(known_[input].gram); }

 private:
  struct Known {
    std::uint64_t n_tokens = 0;
    std::vector<double> squares;
    FloatMatrix gram;
  };
  Status run_alone(LayerModel& layer, CalibrationBatch& batch, bool keep, const std::function<void(std::size_t)>& on_tokens);
  Status run_rounds(LayerModel& layer, InputRecorder& recorder, CalibrationBatch& batch, bool keep,
                    const std::function<void(std::size_t)>& on_tokens);
  Status show_recorded(int from, InputRecorder& recorder);
  Status tell_all();

  const LayerTask& task_;
  bool with_gram_;
  LayerStatistics statistics_;  // rows of this rank
  std::vector<Known> known_;
};

}  // namespace colonnade::shard
