#include "coordinator/cli/quality_inputs.h"

#include <algorithm>
#include <span>
#include <vector>

#include "coordinator/cli/format_settings.h"
#include "coordinator/cli/launch_setup.h"
#include "coordinator/cli/tokenizer_file.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "engine/base/version.h"
#include "engine/kernels/kv_block.h"
#include "shard/blob.h"
#include "shard/hf_config.h"
#include "shard/manifest.h"
#include "shard/prune/prune_setup.h"
#include "shard/stored_model.h"

namespace colonnade::cli {
namespace {

Result<engine::ModelConfig> config_of(const std::string& model) {
  if (shard::is_packed_model(model)) {
    COLONNADE_ASSIGN(shard::Manifest manifest, shard::read_manifest(model));
    return std::move(manifest.config);
  }
  COLONNADE_TRY(shard::check_stored_model(model));
  COLONNADE_ASSIGN(const std::string config, shard::read_stored_config(model));
  return shard::parse_model_config(config, shard::stored_config_name(model));
}

/// The longest sequence that a job will take when it has the memory for it.
std::size_t context_tokens(const LaunchOptions& launch, const engine::ModelConfig& config) {
  std::uint64_t tokens = static_cast<std::uint64_t>(config.max_context_tokens);
  if (launch.context_tokens != 0) tokens = std::min(tokens, static_cast<std::uint64_t>(launch.context_tokens));
  if (launch.kv_tokens != 0) tokens = std::min(tokens, round_up(launch.kv_tokens, engine::kPageTokens));
  return static_cast<std::size_t>(tokens);
}

std::uint64_t windows_id(const Windows& windows) {
  std::vector<std::int32_t> all;
  for (std::size_t i = 0; i < windows.tokens.size(); ++i) {
    all.push_back(static_cast<std::int32_t>(windows.tokens[i].size()));
    all.push_back(static_cast<std::int32_t>(windows.first_scored[i]));
    all.insert(all.end(), windows.tokens[i].begin(), windows.tokens[i].end());
  }
  return shard::blob_checksum(std::as_bytes(std::span(all)));
}

std::string hashed(const std::string& key) { return text(shard::blob_checksum(std::as_bytes(std::span(key)))); }

}  // namespace

Result<QualityInputs> QualityInputs::read(const QualitySettings& settings, const std::string& kernels) {
  QualityInputs inputs(settings, kernels);
  COLONNADE_ASSIGN(inputs.config_, config_of(settings.source));
  if (inputs.config_.encoder)
    return Error{ErrorCode::kInvalidArgument, text(settings.source, ": expected a model that predicts text, found an encoder")};
  COLONNADE_ASSIGN(inputs.source_id_, shard::source_fingerprint(settings.source, {}));
  COLONNADE_ASSIGN(inputs.n_ranks_, planned_ranks(settings.launch));
  COLONNADE_TRY(inputs.read_text(""));
  for (const QualityPoint& point : settings.points)
    if (!inputs.texts_.contains(point.model)) COLONNADE_TRY(inputs.read_text(point.model));
  return inputs;
}

Status QualityInputs::read_text(const std::string& model) {
  const std::string& path = model.empty() ? settings_->source : model;
  COLONNADE_ASSIGN(const engine::ModelConfig config, config_of(path));
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(path));
  ModelText found;
  COLONNADE_ASSIGN(found.windows, make_windows(*tokenizer, settings_->text, settings_->rules, context_tokens(settings_->launch, config),
                                               settings_->text_name));
  for (const auto& window : found.windows.tokens) found.longest_tokens = std::max(found.longest_tokens, window.size());
  found.id = windows_id(found.windows);
  texts_.emplace(model, std::move(found));
  return {};
}

shard::PruneOptions QualityInputs::pruning(const QualityPoint& point) const {
  shard::PruneOptions prune = settings_->prune;
  prune.rules = {.method = point.prune->method.method, .refit = point.prune->method.refit, .structure = point.prune->structure,
                 .sparsity = point.prune->sparsity, .values = point.pruned_values()};
  // What this point does not use is nothing that it depends on.
  if (!shard::needs_calibration(prune)) prune.windows.clear();
  if (prune.rates == shard::RateRule::kUniform) prune.rate_spread = shard::PruneOptions().rate_spread;
  if (!prune.rules.needs_gram()) prune.damping = shard::PruneOptions().damping;
  return prune;
}

shard::PackOptions QualityInputs::packing(const std::string& values) const {
  const auto format_of = [](const std::string& name) { return engine::find_format(name)->id(); };
  shard::FormatRules rules;
  rules.values = format_of(values);
  rules.head_values = settings_->head_values.empty() ? rules.values : format_of(settings_->head_values);
  rules.isa = kernels_;
  return {.threads = settings_->launch.threads, .name = shard::stored_model_name(settings_->source), .rules = rules};
}

Result<std::string> QualityInputs::prune_key(const QualityPoint& point) const {
  COLONNADE_ASSIGN(const std::string task, shard::prune_task(settings_->source, pruning(point)));
  return hashed(task);
}

Result<std::string> QualityInputs::row_key(const QualityPoint& point) const {
  const LaunchOptions& launch = settings_->launch;
  const ModelText& words = text_of(point.model);
  std::string key = text(kVersion, " ", n_ranks_, " ", launch.n_stages, " ", static_cast<int>(launch.kv_type), " ", words.id, " ",
                         words.windows.scored_bytes, " ", point.name());
  // Predictions are compared with those of the source, on the same tokens.
  if (settings_->compare) key += text(" ", source_id_, " ", text_of("").id);
  if (point.values.empty()) {
    COLONNADE_ASSIGN(const shard::Manifest manifest, shard::read_manifest(point.model));
    for (const shard::PathSpec& path : manifest.paths) key += text(" ", path.checksum);
  } else {
    COLONNADE_ASSIGN(const std::string packed,
                     shard::source_fingerprint(point.model.empty() ? settings_->source : point.model, packing(point.values)));
    key += text(" ", packed);
  }
  if (point.prune) {
    COLONNADE_ASSIGN(const std::string pruned, prune_key(point));
    key += text(" ", pruned);
  }
  return hashed(key);
}

}  // namespace colonnade::cli
