// What colonnade quality measures: the points of its table, in the order in which they are made. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/config.h"
#include "shard/prune/prune_matrix.h"

namespace colonnade::cli {

/// "sparsegpt+refit".
struct QualityMethod {
  shard::PruneMethod method = shard::PruneMethod::kSparseGpt;
  bool refit = false;

  std::string name() const;
};
/// kInvalidArgument names `option`, the word and the methods that there are.
Result<QualityMethod> parse_quality_method(std::string_view option, const std::string& word);

/// How the source is pruned.
struct PruneChoice {
  QualityMethod method;
  shard::Structure structure;
  double sparsity = 0;

  /// "sparsegpt+refit 50 %", "wanda 2:4", "wanda n:64 70 %".
  std::string name() const;
  bool operator==(const PruneChoice& other) const { return name() == other.name(); }
};

/// One model that is packed and evaluated.
struct QualityPoint {
  std::string model = {};                   // another than the source, as the user named it; "": the source
  std::optional<PruneChoice> prune = {};    // nothing: as it is
  std::string values = {};                  // "": those that it was packed with

  /// Values that pruning itself rounds to. What needs no second moments rounds each weight by itself: there, packing rounds, and all values share
  /// one pruned model.
  shard::PrunedValues pruned_values() const;
  /// "dense int4", "sparsegpt+refit 50 % int4", "small/model int8".
  std::string name() const;
};

struct QualityAxes {
  std::vector<QualityMethod> methods;
  std::vector<shard::Structure> structures;
  std::vector<double> sparsities;
  std::vector<std::string> values;
  std::vector<std::string> also;         // models that are not packed yet: each with all values
  std::vector<std::string> also_packed;
};

/// The source as it is, other models, then what is pruned; points of one pruned model follow each other. Each of them once.
std::vector<QualityPoint> quality_points(const QualityAxes& axes);

/// Whether both are made from the same pruned model.
bool same_pruned_model(const QualityPoint& a, const QualityPoint& b);

/// Multiply-adds that a step takes, roughly: only ratios matter, for the time that is left.
struct QualityCosts {
  engine::ModelConfig config;
  std::size_t calibration_tokens = 0, scored_tokens = 0;
  bool compare = true;

  double prune(const PruneChoice& choice) const;
  double pack_and_evaluate() const;
};

}  // namespace colonnade::cli
