// What colonnade plan prints: who holds what, as text and as JSON. Pure.
#pragma once

#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/model/config.h"
#include "shard/plan.h"

namespace colonnade::cli {

/// Refers to what its maker owns.
struct PlanReport {
  std::string model;  // name, for people
  const engine::ModelConfig& config;
  const std::vector<shard::PathSpec>& paths;
  const std::vector<shard::RankMachine>& machines;
  const shard::PlanOptions& options;
  const shard::Plan& plan;
};

/// With `every_layer`, also a line for each rank and layer.
std::string plan_text(const PlanReport& report, bool every_layer);
OrderedJson plan_json(const PlanReport& report);

}  // namespace colonnade::cli
