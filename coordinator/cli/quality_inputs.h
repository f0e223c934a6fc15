// What the points of colonnade quality are made from, and keys that change exactly when a result would. Read before anything is made.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "coordinator/cli/quality_points.h"
#include "coordinator/cli/quality_run.h"
#include "coordinator/cli/text_evaluation.h"
#include "engine/model/config.h"
#include "shard/pack.h"
#include "shard/prune/prune_model.h"

namespace colonnade::cli {

/// The text in the tokens of a model.
struct ModelText {
  Windows windows;
  std::size_t longest_tokens = 0;  // of a window
  std::uint64_t id = 0;            // equal for equal windows
};

/// Refers to the settings.
class QualityInputs {
 public:
  /// Of all points. kInvalidArgument names a model or a text that does not do.
  static Result<QualityInputs> read(const QualitySettings& settings, const std::string& kernels);

  /// The source as it was found: its configuration and the names, sizes and times of its files.
  const std::string& source_id() const { return source_id_; }
  const engine::ModelConfig& config() const { return config_; }
  /// Of a model of a point ("": the source).
  const ModelText& text_of(const std::string& model) const { return texts_.at(model); }

  /// What prune_model() gets for a point that is pruned.
  shard::PruneOptions pruning(const QualityPoint& point) const;
  shard::PackOptions packing(const std::string& values) const;

  /// Everything that the pruned model depends on.
  Result<std::string> prune_key(const QualityPoint& point) const;
  /// Everything that a row depends on. Ranks are part of it: sums over paths associate differently for another number of them, which moves the last
  /// digits. Threads, step size, instruction set and host names are not: they change no bit.
  Result<std::string> row_key(const QualityPoint& point) const;

 private:
  QualityInputs(const QualitySettings& settings, std::string kernels) : settings_(&settings), kernels_(std::move(kernels)) {}
  Status read_text(const std::string& model);

  const QualitySettings* settings_;
  std::string kernels_;
  engine::ModelConfig config_;
  std::string source_id_;
  int n_ranks_ = 1;
  std::map<std::string, ModelText> texts_;
};

}  // namespace colonnade::cli
