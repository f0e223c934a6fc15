// Makes the points of colonnade quality: prunes, packs and evaluates, one after the other. What is finished lies in a file for each
// point, so that a run that was killed goes on where it was.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "coordinator/cli/launch.h"
#include "coordinator/cli/quality_points.h"
#include "coordinator/cli/quality_rows.h"
#include "coordinator/cli/text_evaluation.h"
#include "shard/prune/prune_model.h"

namespace colonnade::cli {

struct QualitySettings {
  std::string source;
  std::filesystem::path out;
  std::vector<QualityPoint> points;
  shard::PruneOptions prune = {};  // all but the rules
  std::string calibration_name = {};
  std::string head_values = {};    // "": those of the point
  LaunchOptions launch = {};       // all but model and values
  EvaluationRules rules = {};
  std::string text_name = {};
  std::string text = {};
  bool compare = true;             // with the dense model's predictions
  bool keep = false;               // pruned and packed models stay
};

/// DIR while it is filled: table.md, table.csv, table.json and plot.svg are written anew after each point, points/ has the finished ones and
/// work/ what is in the making. kInvalidArgument when DIR holds anything else. The rows of all points, in their order.
Result<std::vector<QualityRow>> run_quality(const QualitySettings& settings, QualityFacts& facts);

}  // namespace colonnade::cli
