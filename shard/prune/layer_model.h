// One layer of a model (or its embedding) in memory, run by the engine's own forward pass on calibration windows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/executor.h"
#include "shard/blob.h"
#include "shard/paths.h"
#include "shard/prune/calibration_batch.h"
#include "shard/prune/compute.h"
#include "shard/prune/stage_feed.h"
#include "shard/slice.h"

namespace colonnade::shard {

/// Where the numbers of a path come from. The path outlives what is returned.
using PathProvider = std::function<PathWeights(const PathSpec& path)>;

class LayerModel {
 public:
  /// Whether a path belongs to the embedding: its rows, and what is added to them.
  static bool embeds(const PathSpec& path);

  /// The embedding. What is passed by reference must outlive the model.
  static Result<std::unique_ptr<LayerModel>> embedding(const engine::ModelConfig& config, const std::vector<PathSpec>& paths,
                                                       const PathProvider& provider, const Compute& compute, MemoryMeter& meter);
  /// Layer `layer`, matrices in bf16. `tap` may be nullptr. Without a provider memory() is left to the caller, who has it from a rank
  /// that has one.
  static Result<std::unique_ptr<LayerModel>> layer(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, int layer,
                                                   const PathProvider& provider, const Compute& compute, MemoryMeter& meter,
                                                   engine::ActivationTap* tap);

  /// Where the strip offsets of a matrix lie: what tells a tap which one it is shown. nullptr for a path that is not here.
  const std::uint64_t* strip_offsets(std::size_t path, std::size_t matrix) const;

  /// All weights, as the engine reads them.
  std::span<std::byte> memory() { return {memory_.data(), memory_.size()}; }

  /// Runs the windows of unit `unit`; with `keep` their activations become those after this layer, else they stay as they are.
  Status run_unit(CalibrationBatch& batch, std::size_t unit, bool keep);
  /// Runs all of them.
  Status run(CalibrationBatch& batch, bool keep);

  /// Bytes held for a layer whose paths are these.
  static std::uint64_t bytes(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, int layer, std::size_t window_tokens);

 private:
  LayerModel(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, const Compute& compute, MemoryMeter& meter,
             bool first_stage);
  Status load(std::span<const std::size_t> chosen, int first_layer, int n_layers, const PathProvider& provider);
  Status make_executor(std::size_t window_tokens, std::size_t step_tokens);
  Status run_step(const CalibrationBatch& batch, const engine::Step& step, std::size_t first_row, std::size_t n_rows, float* out);

  const engine::ModelConfig& config_;
  Compute compute_;
  MemoryMeter& meter_;
  StageFeed feed_;
  engine::ActivationTap* tap_ = nullptr;
  Manifest manifest_;
  Plan plan_;
  SliceLayout layout_;
  MeteredBuffer<std::byte> memory_;
  MeteredBuffer<std::byte> kv_pool_;
  std::size_t window_tokens_ = 0, step_tokens_ = 0;  // that the executor was made for
  std::unique_ptr<engine::RankExecutor> executor_;
};

}  // namespace colonnade::shard
