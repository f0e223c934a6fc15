#include "coordinator/cli/quality_points.h"

#include <algorithm>
#include <cstdio>

#include "engine/base/format_text.h"
#include "shard/hf_config.h"
#include "shard/stored_model.h"

namespace colonnade::cli {
namespace {

constexpr std::string_view kRefitEnding = "+refit";

std::string percent(double share) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6g %%", 100 * share);
  return buffer;
}

}  // namespace

std::string QualityMethod::name() const { return text(shard::prune_method_name(method), refit ? kRefitEnding : ""); }

Result<QualityMethod> parse_quality_method(std::string_view option, const std::string& word) {
  const bool refit = word.ends_with(kRefitEnding);
  const auto method = shard::parse_prune_method(word.substr(0, word.size() - (refit ? kRefitEnding.size() : 0)));
  if (!method.ok())
    return Error{ErrorCode::kInvalidArgument,
                 text(option, ": expected magnitude, wanda or sparsegpt, each alone or with +refit, found \"", word, "\"")};
  return QualityMethod{*method, refit};
}

std::string PruneChoice::name() const {
  std::string out = method.name();
  if (structure != shard::Structure{}) out += " " + shard::structure_text(structure);
  if (structure.kept == 0) out += " " + percent(sparsity);
  return out;
}

shard::PrunedValues QualityPoint::pruned_values() const {
  const bool jointly = prune && (prune->method.refit || prune->method.method == shard::PruneMethod::kSparseGpt);
  return jointly ? *shard::parse_pruned_values(values) : shard::PrunedValues::kBf16;
}

std::string QualityPoint::name() const {
  return text(prune ? prune->name() : model.empty() ? "dense" : shard::stored_model_name(model), values.empty() ? "" : " ", values);
}

std::vector<QualityPoint> quality_points(const QualityAxes& axes) {
  std::vector<QualityPoint> points;
  const auto add = [&](QualityPoint point) {
    const auto same = [&](const QualityPoint& other) { return other.model == point.model && other.name() == point.name(); };
    if (std::none_of(points.begin(), points.end(), same)) points.push_back(std::move(point));
  };
  for (const std::string& values : axes.values) add({.values = values});
  for (const std::string& model : axes.also)
    for (const std::string& values : axes.values) add({.model = model, .values = values});
  for (const std::string& model : axes.also_packed) add({.model = model});
  for (const shard::Structure& structure : axes.structures) {
    std::vector<double> sparsities = axes.sparsities;
    if (structure.kept != 0) sparsities = {1 - static_cast<double>(structure.kept) / static_cast<double>(structure.group)};
    for (const double sparsity : sparsities)
      for (const QualityMethod& method : axes.methods)
        for (const std::string& values : axes.values) add({.prune = PruneChoice{method, structure, sparsity}, .values = values});
  }
  return points;
}

bool same_pruned_model(const QualityPoint& a, const QualityPoint& b) {
  return a.prune && b.prune && *a.prune == *b.prune && a.pruned_values() == b.pruned_values();
}

double QualityCosts::prune(const PruneChoice& choice) const {
  const shard::ParameterCount parameters = shard::count_parameters(config);
  const auto weights = static_cast<double>(parameters.total), active = static_cast<double>(parameters.active);
  const auto tokens = static_cast<double>(calibration_tokens), dim = static_cast<double>(config.dim);
  constexpr double kReadAndWrite = 100;        // of a weight: disk, thresholds
  constexpr double kSweep = 2, kRefit = 36;    // times the columns, of a weight (docs/quality.md)
  double cost = kReadAndWrite * weights;
  const bool swept = choice.method.method == shard::PruneMethod::kSparseGpt;
  if (choice.method.method != shard::PruneMethod::kMagnitude || choice.method.refit) cost += 2 * tokens * active;
  if (swept || choice.method.refit) cost += tokens * active;  // outer products
  if (swept) cost += kSweep * dim * weights;
  if (choice.method.refit) cost += kRefit * dim * weights;
  return cost;
}

double QualityCosts::pack_and_evaluate() const {
  const shard::ParameterCount parameters = shard::count_parameters(config);
  constexpr double kPack = 200;     // of a weight
  constexpr double kCompare = 4;    // two models more, logits of which all are moved
  return kPack * static_cast<double>(parameters.total) +
         static_cast<double>(scored_tokens) * static_cast<double>(parameters.active) * (compare ? 1 + kCompare : 1);
}

}  // namespace colonnade::cli
