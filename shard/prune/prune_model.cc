#include "shard/prune/prune_model.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "engine/base/progress.h"
#include "engine/base/self_comm.h"
#include "engine/base/units.h"
#include "shard/checkpoint_tensors.h"
#include "shard/prune/outlier_shares.h"
#include "shard/prune/prune_directory.h"
#include "shard/prune/prune_layer.h"
#include "shard/prune/prune_setup.h"

namespace colonnade::shard {
namespace {

/// Progress on rank 0, of all.
class SharedProgress {
 public:
  SharedProgress(const RankGroup& group, std::string_view label, std::uint64_t total, std::function<void(double)> watcher) {
    if (group.leads()) progress_.emplace(label, total, ProgressUnit::kItems, std::move(watcher));
  }
  void add(std::uint64_t amount) {
    if (progress_) progress_->add(amount);
  }

 private:
  std::optional<Progress> progress_;
};

/// One rank.
class ModelPruner {
 public:
  /// `directory`: of rank 0, else nullptr.
  ModelPruner(const SourceModel& model, const PruneOptions& options, const Compute& compute, RankGroup& group, PruneDirectory* directory)
      : model_(model),
        options_(options),
        compute_(compute),
        group_(group),
        directory_(directory),
        paths_(enumerate_paths(model.config(), format_choice(engine::FormatId::kBf16))),
        batch_(make_batch(options.windows, group.rank(), group.size())) {}

  Result<PruneReport> run() {
    const int n_layers = model_.config().n_layers;
    COLONNADE_TRY(state_memory());
    COLONNADE_TRY(find_rates());
    if (uses_activations()) COLONNADE_TRY(embed());
    SharedProgress progress(group_, "pruning", total_weights(), options_.on_progress);
    report_.errors.resize(static_cast<std::size_t>(n_layers));
    for (int l = 0; l < n_layers; ++l) {
      const LayerMatrices matrices = layer_matrices(model_, paths_, l);
      COLONNADE_ASSIGN(const bool found, find_layer(l));
      if (found) {
        progress.add(matrices.weights());
        ++report_.resumed_layers;
      } else {
        COLONNADE_TRY(prune_one(l, matrices, progress));
        ++new_layers_;
      }
      COLONNADE_TRY(pass_on(l));
    }
    COLONNADE_ASSIGN(report_.peak_bytes, most_of_all(meter_.peak_bytes()));
    return report_;
  }

 private:
  bool uses_activations() const { return options_.rules.method != PruneMethod::kMagnitude || options_.rules.refit; }

  /// Whether layer `l` is in the directory; kCancelled where the run is to stop before it is made.
  Result<bool> find_layer(int l) {
    std::uint8_t found = directory_ != nullptr && directory_->has_shard(l);
    COLONNADE_TRY(group_.pass_value(0, group_.all(), found));
    if (found == 0 && options_.stop_after_layers == new_layers_)
      COLONNADE_TRY(group_.agree(Error{ErrorCode::kCancelled, text("stopped after ", new_layers_, " layers, as was asked for")}));
    return found != 0;
  }

  LayerTask task_for(const LayerMatrices& matrices, int l, bool with_gram) {
    return {model_, paths_, matrices, l, compute_, meter_, group_, share_layer(matrices, with_gram, group_.size())};
  }

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
      if (is_pruned(path.kind))
        for (const MatrixSpec& m : path.matrices) weights[static_cast<std::size_t>(path.layer)] += static_cast<double>(m.rows) * m.cols;
    return weights;
  }

  Result<std::uint64_t> most_of_all(std::uint64_t mine) {
    std::uint64_t most = 0;
    for (int rank = 0; rank < group_.size(); ++rank) {
      std::uint64_t theirs = mine;
      COLONNADE_TRY(group_.pass_value(rank, group_.all(), theirs));
      most = std::max(most, theirs);
    }
    return most;
  }

  /// The most that any layer needs, beside mapped files.
  Status state_memory() {
    std::uint64_t layer_bytes = 0;
    std::size_t window_tokens = 0;
    for (const auto& window : options_.windows) window_tokens = std::max(window_tokens, window.size());
    for (int l = 0; l < model_.config().n_layers; ++l) {
      const LayerMatrices matrices = layer_matrices(model_, paths_, l);
      layer_bytes = std::max(layer_bytes, prune_layer_bytes(model_.config(), paths_, matrices,
                                                            share_layer(matrices, options_.rules.needs_gram(), group_.size()), group_.rank(), l,
                                                            options_.rules, options_.layout, uses_activations() ? window_tokens : 0,
                                                            compute_.team.size()));
    }
    std::uint64_t embedding_bytes = 0, activations = 0;
    if (needs_calibration(options_)) {
      activations = batch_.n_tokens() * static_cast<std::uint64_t>(model_.config().dim) * sizeof(float);
      for (const PathSpec& path : paths_)
        if (LayerModel::embeds(path)) embedding_bytes += round_up(path.bytes, kBlobAlignment);
    }
    COLONNADE_ASSIGN(report_.stated_bytes, most_of_all(activations + std::max(layer_bytes, embedding_bytes)));
    if (group_.leads())
      log_info(text("pruning needs up to ", format_bytes(report_.stated_bytes), " of memory ", group_.size() == 1 ? "" : "on each rank ",
                    "beside the page cache: ", format_bytes(activations), " for activations, ", format_bytes(layer_bytes),
                    " for a layer and its statistics; ", group_.size() == 1 ? "" : text(group_.size(), " ranks, "), compute_.team.size(),
                    compute_.team.size() == 1 ? " thread, " : " threads, ", compute_.kernels.name));
    return {};
  }

  Status embed() {
    batch_.activations = FloatMatrix();
    batch_.activations = FloatMatrix(meter_, batch_.n_tokens(), static_cast<std::size_t>(model_.config().dim));
    const auto embedding = LayerModel::embedding(model_.config(), paths_, source_provider(), compute_, meter_);
    COLONNADE_TRY(group_.agree(embedding.ok() ? Status() : Status(embedding.error())));
    return (*embedding)->run(batch_, true);
  }

  Result<std::vector<double>> read_shares(const std::string& note) const {
    const auto n_layers = static_cast<std::size_t>(model_.config().n_layers);
    const auto numbers = parse_json(note, "the note of a prune");
    std::vector<double> shares;
    if (numbers.ok() && numbers->is_array())
      for (const Json& share : *numbers)
        if (share.is_number() && share.get<double>() >= 0 && share.get<double>() <= 1) shares.push_back(share.get<double>());
    if (!numbers.ok() || shares.size() != n_layers || numbers->size() != n_layers)
      return Error{ErrorCode::kCorrupt, text(".pruning.json: expected noted outliers of ", n_layers, " layers, numbers from 0 to 1, found ", note.substr(0, 100))};
    return shares;
  }

  /// Outliers of each layer of the dense model, from a pass of its own. Noted, so that it is done once.
  Result<std::vector<double>> outlier_shares() {
    std::vector<double> shares;
    std::string note = directory_ != nullptr ? directory_->note() : "";
    COLONNADE_TRY(group_.share(0, note));
    if (!note.empty()) {
      const auto noted = read_shares(note);
      COLONNADE_TRY(group_.agree(noted.ok() ? Status() : Status(noted.error())));
      return *noted;
    }
    COLONNADE_TRY(embed());
    std::size_t n_tokens = 0;
    for (const auto& window : options_.windows) n_tokens += window.size();
    SharedProgress progress(group_, "looking for outliers", n_tokens * static_cast<std::size_t>(model_.config().n_layers),
                            options_.on_progress ? [](double) {} : std::function<void(double)>());
    for (int l = 0; l < model_.config().n_layers; ++l) {
      const LayerMatrices matrices = layer_matrices(model_, paths_, l);
      const LayerTask task = task_for(matrices, l, false);
      COLONNADE_ASSIGN(const double share, outlier_share(task, batch_, [&](std::size_t tokens) { progress.add(tokens); }));
      shares.push_back(share);
    }
    const Json numbers = shares;
    COLONNADE_TRY(group_.agree(directory_ != nullptr ? directory_->write_note(dump_json(numbers)) : Status()));
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

  Status prune_one(int l, const LayerMatrices& matrices, SharedProgress& progress) {
    MatrixRules rules = options_.rules;
    rules.sparsity = report_.rates[static_cast<std::size_t>(l)];
    SafetensorsFile file;
    {
      const LayerTask task = task_for(matrices, l, rules.needs_gram());
      // Rank 0 sees its own share, and takes those of the others to be as far.
      std::uint64_t own = 0, shown = 0;
      for (std::size_t m = 0; m < matrices.matrices.size(); ++m) own += task.own_rows()[m].count() * matrices.matrices[m].cols;
      const auto on_weights = [&](std::size_t weights) {
        const auto all = static_cast<double>(matrices.weights()), share = static_cast<double>(weights) / static_cast<double>(std::max<std::uint64_t>(own, 1));
        const std::uint64_t amount = std::min(static_cast<std::uint64_t>(share * all), matrices.weights() - shown);
        progress.add(amount);
        shown += amount;
      };
      LayerPruner layer(task, rules, options_.damping);
      if (uses_activations()) COLONNADE_TRY(layer.calibrate(batch_));
      COLONNADE_ASSIGN(const LayerOutcome outcome, layer.prune(options_.layout, file, on_weights));
      progress.add(matrices.weights() - shown);
      report_.weights += outcome.weights;
      report_.kept += outcome.kept;
      report_.errors[static_cast<std::size_t>(l)] = outcome.total > 0 ? outcome.lost / outcome.total : 0;
      report_.weak_experts.insert(report_.weak_experts.end(), outcome.weak_experts.begin(), outcome.weak_experts.end());
    }
    return group_.agree(directory_ != nullptr ? file.write(directory_->shard(l)) : Status());
  }

  /// Activations become those after the layer as it is in its file, new or found. Rank 0 reads that, the others have it from there: only rank
  /// 0 needs to see the directory.
  Status pass_on(int l) {
    if (!uses_activations() || l + 1 == model_.config().n_layers) return {};
    std::unique_ptr<LayerModel> layer;
    const auto load = [&]() -> Status {
      std::unique_ptr<const CheckpointTensors> pruned;
      PathProvider provider;
      if (directory_ != nullptr) {
        COLONNADE_ASSIGN(pruned, CheckpointTensors::open_file(directory_->shard(l)));
        provider = pruned_provider(model_, *pruned);
      }
      COLONNADE_ASSIGN(layer, LayerModel::layer(model_.config(), paths_, l, provider, compute_, meter_, nullptr));
      return {};
    };
    COLONNADE_TRY(group_.agree(load()));
    COLONNADE_TRY(group_.pass(0, group_.all(), layer->memory()));
    return layer->run(batch_, true);
  }

  const SourceModel& model_;
  const PruneOptions& options_;
  const Compute& compute_;
  RankGroup& group_;
  PruneDirectory* directory_;
  std::vector<PathSpec> paths_;
  MemoryMeter meter_;
  CalibrationBatch batch_;
  PruneReport report_;
  int new_layers_ = 0;
};

Result<PruneReport> prune_with(RankGroup& group, const Communicator& comm, const std::filesystem::path& source,
                               const std::filesystem::path& out, PruneOptions& options) {
  const double start = now_seconds();
  COLONNADE_TRY(check_same_options(group, options));
  const auto model = SourceModel::open(source);
  COLONNADE_TRY(group.agree(model.ok() ? Status() : Status(model.error())));
  COLONNADE_TRY(share_windows(group, *model, options));
  const auto kernels = engine::choose_kernels(options.isa);
  COLONNADE_TRY(group.agree(kernels.ok() ? Status() : Status(kernels.error())));
  const auto team = prune_team(comm, options.threads);
  COLONNADE_TRY(group.agree(team.ok() ? Status() : Status(team.error())));
  std::optional<PruneDirectory> directory;
  const auto open_directory = [&]() -> Status {
    COLONNADE_ASSIGN(const std::string task, prune_task(source, options));
    COLONNADE_ASSIGN(directory, PruneDirectory::open(out, task, model->config().n_layers));
    return {};
  };
  COLONNADE_TRY(group.agree(group.leads() ? open_directory() : Status()));
  const Compute compute{**kernels, **team};
  COLONNADE_ASSIGN(PruneReport report, ModelPruner(*model, options, compute, group, directory ? &*directory : nullptr).run());
  COLONNADE_TRY(group.agree(directory ? directory->finish(source, *model, options.layout, options.rules.sparsity) : Status()));
  report.seconds = now_seconds() - start;
  return report;
}

}  // namespace

bool needs_calibration(const PruneOptions& options) {
  return options.rules.method != PruneMethod::kMagnitude || options.rules.refit || options.rates == RateRule::kOwl;
}

Result<PruneReport> prune_model(const std::filesystem::path& source, const std::filesystem::path& out, PruneOptions options,
                                Communicator& comm, bool& all_know) {
  RankGroup group(comm);
  auto report = prune_with(group, comm, source, out, options);
  all_know = !report.ok() && group.agreed_to_fail();
  return report;
}

Result<PruneReport> prune_model(const std::filesystem::path& source, const std::filesystem::path& out, const PruneOptions& options) {
  const auto alone = make_self_communicator();
  bool all_know = false;
  return prune_model(source, out, options, *alone, all_know);
}

}  // namespace colonnade::shard
