#include "shard/prune/prune_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <xxhash.h>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "engine/base/units.h"
#include "engine/base/version.h"
#include "engine/platform/team.h"
#include "shard/checkpoint_tensors.h"
#include "shard/pack.h"
#include "shard/prune/prune_directory.h"
#include "shard/prune/prune_layer.h"

namespace colonnade::shard {
namespace {

/// Between two short uses of the team its threads had better not sleep.
constexpr int kSpinUs = 50;

/// Everything that the result depends on.
Result<std::string> task_of(const std::filesystem::path& source, const PruneOptions& options) {
  COLONNADE_ASSIGN(const std::string fingerprint, source_fingerprint(source, {}));
  XXH64_hash_t tokens = options.windows.size();
  for (const auto& window : options.windows) tokens = XXH3_64bits_withSeed(window.data(), window.size() * sizeof(window[0]), tokens);
  const MatrixRules& rules = options.rules;
  return text(kVersion, " ", fingerprint, " ", tokens, " ", prune_method_name(rules.method), " ", rules.refit, " ",
              structure_text(rules.structure), " ", rules.sparsity, " ", pruned_values_name(rules.values), " ",
              static_cast<int>(options.rates), " ", options.rate_spread, " ", options.damping, " ", static_cast<int>(options.layout));
}

Status check_windows(const PruneOptions& options, const engine::ModelConfig& config) {
  if (!needs_calibration(options)) return {};
  if (options.windows.empty())
    return Error{ErrorCode::kInvalidArgument, text("prune: expected calibration text for ", prune_method_name(options.rules.method), ", found none")};
  for (const auto& window : options.windows) {
    if (window.empty() || window.size() > static_cast<std::size_t>(config.max_context_tokens))
      return Error{ErrorCode::kInvalidArgument, text("prune: expected calibration windows of 1 to ", config.max_context_tokens,
                                                     " tokens, found one of ", window.size())};
    for (const std::int32_t token : window)
      if (token < 0 || token >= config.vocab_size)
        return Error{ErrorCode::kInvalidArgument, text("prune: expected calibration tokens below ", config.vocab_size, ", found ", token)};
  }
  return {};
}

class ModelPruner {
 public:
  ModelPruner(const SourceModel& model, const PruneOptions& options, const Compute& compute, PruneDirectory& directory)
      : model_(model),
        options_(options),
        compute_(compute),
        directory_(directory),
        paths_(enumerate_paths(model.config(), format_choice(engine::FormatId::kBf16))) {}

  Result<PruneReport> run() {
    const int n_layers = model_.config().n_layers;
    state_memory();
    COLONNADE_TRY(find_rates());
    if (uses_activations()) COLONNADE_TRY(embed());
    Progress progress("pruning", total_weights(), ProgressUnit::kItems, options_.on_progress);
    int new_layers = 0;
    report_.errors.resize(static_cast<std::size_t>(n_layers));
    for (int l = 0; l < n_layers; ++l) {
      const LayerMatrices matrices = layer_matrices(model_, paths_, l);
      if (directory_.has_shard(l)) {
        progress.add(matrices.weights());
        ++report_.resumed_layers;
      } else {
        if (options_.stop_after_layers == new_layers)
          return Error{ErrorCode::kCancelled, text("stopped after ", new_layers, " layers, as was asked for")};
        COLONNADE_TRY(prune_one(l, matrices, progress));
        ++new_layers;
      }
      COLONNADE_TRY(pass_on(l));
    }
    report_.peak_bytes = meter_.peak_bytes();
    return report_;
  }

 private:
  bool uses_activations() const { return options_.rules.method != PruneMethod::kMagnitude || options_.rules.refit; }

  PathProvider source_provider() const {
    return [this](const PathSpec& path) { return model_.weights_of(path); };
  }

  std::uint64_t total_weights() const {
    std::uint64_t weights = 0;
    for (const double layer : layer_weights()) weights += static_cast<std::uint64_t>(layer);
    return weights;
  }

  std::vector<double> layer_weights() const {
    std::vector<double> weights(static_cast<std::size_t>(model_.config().n_layers));
    for (const PathSpec& path : paths_)
      if (is_pruned(model_.config(), path.kind))
        for (const MatrixSpec& m : path.matrices) weights[static_cast<std::size_t>(path.layer)] += static_cast<double>(m.rows) * m.cols;
    return weights;
  }

  /// The most that any layer needs, beside mapped files.
  void state_memory() {
    std::uint64_t layer_bytes = 0;
    std::size_t window_tokens = 0;
    for (const auto& window : options_.windows) window_tokens = std::max(window_tokens, window.size());
    for (int l = 0; l < model_.config().n_layers; ++l)
      layer_bytes = std::max(layer_bytes, prune_layer_bytes(model_.config(), paths_, layer_matrices(model_, paths_, l), l, options_.rules,
                                                            options_.layout, uses_activations() ? window_tokens : 0, compute_.team.size()));
    std::uint64_t embedding_bytes = 0, activations = 0;
    if (needs_calibration(options_)) {
      std::uint64_t tokens = 0;
      for (const auto& window : options_.windows) tokens += window.size();
      activations = tokens * static_cast<std::uint64_t>(model_.config().dim) * sizeof(float);
      for (const PathSpec& path : paths_)
        if (path.kind == PathKind::kEmbedding) embedding_bytes += round_up(path.bytes, kBlobAlignment);
    }
    report_.stated_bytes = activations + std::max(layer_bytes, embedding_bytes);
    log_info(text("pruning needs up to ", format_bytes(report_.stated_bytes), " of memory beside the page cache: ",
                  format_bytes(activations), " for activations, ", format_bytes(layer_bytes), " for a layer and its statistics; ",
                  compute_.team.size(), compute_.team.size() == 1 ? " thread, " : " threads, ", compute_.kernels.name));
  }

  Status embed() {
    const auto dim = static_cast<std::size_t>(model_.config().dim);
    batch_.windows = options_.windows;
    batch_.first_row.clear();
    std::size_t rows = 0;
    for (const auto& window : batch_.windows) {
      batch_.first_row.push_back(rows);
      rows += window.size();
    }
    batch_.activations = FloatMatrix();
    batch_.activations = FloatMatrix(meter_, rows, dim);
    COLONNADE_ASSIGN(const auto embedding, LayerModel::embedding(model_.config(), paths_, source_provider(), compute_, meter_));
    return embedding->run(batch_, true, [](std::size_t) {});
  }

  /// Outliers of each layer of the dense model, from a pass of its own. Noted, so that it is done once.
  Result<std::vector<double>> outlier_shares() {
    std::vector<double> shares;
    if (!directory_.note().empty()) {
      COLONNADE_ASSIGN(const Json note, parse_json(directory_.note(), "the note of a prune"));
      for (const Json& share : note) shares.push_back(share.get<double>());
      return shares;
    }
    COLONNADE_TRY(embed());
    const std::size_t n_tokens = batch_.n_tokens();
    Progress progress("looking for outliers", n_tokens * static_cast<std::size_t>(model_.config().n_layers), ProgressUnit::kItems,
                      options_.on_progress ? [](double) {} : std::function<void(double)>());
    for (int l = 0; l < model_.config().n_layers; ++l) {
      const LayerMatrices matrices = layer_matrices(model_, paths_, l);
      LayerStatistics statistics(matrices, compute_, meter_, false);
      {
        COLONNADE_ASSIGN(const auto layer, LayerModel::layer(model_.config(), paths_, l, source_provider(), compute_, meter_, &statistics));
        statistics.attach(*layer);
        COLONNADE_TRY(layer->run(batch_, true, [&](std::size_t tokens) { progress.add(tokens); }));
      }
      OutlierCount outliers;
      for (const bool counting : {false, true}) {
        for (const LayerMatrix& matrix : matrices.matrices) {
          COLONNADE_ASSIGN(const FloatMatrix weights, read_layer_matrix(model_, paths_, matrix, compute_, meter_));
          const auto norms = statistics.of_input(matrix.input).norms();
          counting ? outliers.count(weights, norms) : outliers.add(weights, norms);
        }
      }
      shares.push_back(outliers.share());
    }
    Json note = shares;
    COLONNADE_TRY(directory_.write_note(dump_json(note)));
    return shares;
  }

  Status find_rates() {
    std::vector<double> outliers;
    if (options_.rates == RateRule::kOwl) {
      COLONNADE_ASSIGN(outliers, outlier_shares());
    }
    report_.rates = layer_rates(options_.rates, options_.rules.sparsity, options_.rate_spread, layer_weights(), outliers);
    return {};
  }

  Status prune_one(int l, const LayerMatrices& matrices, Progress& progress) {
    MatrixRules rules = options_.rules;
    rules.sparsity = report_.rates[static_cast<std::size_t>(l)];
    SafetensorsFile file;
    {
      LayerPruner layer(model_, paths_, matrices, l, rules, options_.damping, compute_, meter_);
      if (uses_activations()) COLONNADE_TRY(layer.calibrate(batch_));
      COLONNADE_ASSIGN(const LayerOutcome outcome, layer.prune(options_.layout, file, progress));
      report_.weights += outcome.weights;
      report_.kept += outcome.kept;
      report_.errors[static_cast<std::size_t>(l)] = outcome.total > 0 ? outcome.lost / outcome.total : 0;
      report_.weak_experts.insert(report_.weak_experts.end(), outcome.weak_experts.begin(), outcome.weak_experts.end());
    }
    return file.write(directory_.shard(l));
  }

  /// Activations become those after the layer as it is in its file, new or found.
  Status pass_on(int l) {
    if (!uses_activations() || l + 1 == model_.config().n_layers) return {};
    COLONNADE_ASSIGN(const auto pruned, CheckpointTensors::open_file(directory_.shard(l)));
    COLONNADE_ASSIGN(const auto layer, LayerModel::layer(model_.config(), paths_, l, pruned_provider(model_, *pruned), compute_, meter_, nullptr));
    return layer->run(batch_, true, [](std::size_t) {});
  }

  const SourceModel& model_;
  const PruneOptions& options_;
  const Compute& compute_;
  PruneDirectory& directory_;
  std::vector<PathSpec> paths_;
  MemoryMeter meter_;
  CalibrationBatch batch_;
  PruneReport report_;
};

}  // namespace

bool needs_calibration(const PruneOptions& options) {
  return options.rules.method != PruneMethod::kMagnitude || options.rules.refit || options.rates == RateRule::kOwl;
}

Result<PruneReport> prune_model(const std::filesystem::path& source, const std::filesystem::path& out, const PruneOptions& options) {
  const double start = now_seconds();
  COLONNADE_ASSIGN(const SourceModel model, SourceModel::open(source));
  COLONNADE_TRY(check_windows(options, model.config()));
  COLONNADE_ASSIGN(const engine::KernelTable* kernels, engine::choose_kernels(options.isa));
  COLONNADE_ASSIGN(const auto team, engine::ThreadTeam::make({}, work_threads(options.threads), kSpinUs));
  COLONNADE_ASSIGN(const std::string task, task_of(source, options));
  COLONNADE_ASSIGN(PruneDirectory directory, PruneDirectory::open(out, task, model.config().n_layers));
  const Compute compute{*kernels, *team};
  COLONNADE_ASSIGN(PruneReport report, ModelPruner(model, options, compute, directory).run());
  COLONNADE_TRY(directory.finish(source, model, options.layout, options.rules.sparsity));
  report.seconds = now_seconds() - start;
  return report;
}

}  // namespace colonnade::shard
