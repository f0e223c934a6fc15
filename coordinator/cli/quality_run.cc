#include "coordinator/cli/quality_run.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <optional>

#include "coordinator/cli/bench_steps.h"
#include "coordinator/cli/format_settings.h"
#include "coordinator/cli/quality_directory.h"
#include "coordinator/cli/quality_inputs.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/progress.h"
#include "engine/kernels/kernels.h"
#include "shard/hf_config.h"
#include "shard/pack.h"
#include "shard/prune/prune_directory.h"
#include "shard/stored_model.h"

namespace colonnade::cli {
namespace {

constexpr const char* kReferenceValues = "bf16";

/// One bar for all points: steps of known relative cost.
class StepProgress {
 public:
  explicit StepProgress(double total_cost) : total_(std::max(total_cost, 1e-9)), bar_("quality", kUnits, ProgressUnit::kShare) {}

  void begin(double cost) {
    const std::lock_guard lock(mutex_);
    cost_ = cost;
    fraction_ = 0;
  }
  /// Thread-safe.
  void at(double fraction) {
    const std::lock_guard lock(mutex_);
    fraction = std::clamp(fraction, fraction_, 1.0);
    sum_ += (fraction - fraction_) * cost_;
    fraction_ = fraction;
    const auto units = static_cast<std::uint64_t>(std::min(1.0, sum_ / total_) * kUnits);
    bar_.add(units - shown_);
    shown_ = units;
  }
  std::function<void(double)> watcher() {
    return [this](double fraction) { at(fraction); };
  }

 private:
  static constexpr std::uint64_t kUnits = 1'000'000;
  std::mutex mutex_;
  double total_, cost_ = 0, fraction_ = 0, sum_ = 0;
  std::uint64_t shown_ = 0;
  Progress bar_;
};

class QualityRunner {
 public:
  QualityRunner(const QualitySettings& settings, QualityDirectory& directory, const QualityInputs& inputs, std::string kernels)
      : settings_(settings), directory_(directory), inputs_(inputs), kernels_(std::move(kernels)) {}

  Result<std::vector<QualityRow>> run(QualityFacts& facts) {
    state(facts);
    std::vector<std::optional<QualityRow>> rows;
    for (const QualityPoint& point : settings_.points) {
      COLONNADE_ASSIGN(std::string key, inputs_.row_key(point));
      std::string prune_key;
      if (point.prune) {
        COLONNADE_ASSIGN(prune_key, inputs_.prune_key(point));
      }
      prune_keys_.push_back(std::move(prune_key));
      rows.push_back(directory_.find_row(point.name(), key));
      keys_.push_back(std::move(key));
    }
    const auto done = static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [](const auto& row) { return row.has_value(); }));
    if (done > 0) log_info(text(settings_.out.string(), ": going on, ", done, " of ", rows.size(), " points are done"));
    StepProgress progress(total_cost(rows));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i]) continue;
      COLONNADE_ASSIGN(rows[i], make_row(i, progress));
      COLONNADE_TRY(directory_.write_row(*rows[i], keys_[i]));
      const bool more = i + 1 < rows.size() && same_pruned_model(settings_.points[i], settings_.points[i + 1]);
      if (!settings_.keep) directory_.remove_work(settings_.points[i].name(), keys_[i]);
      if (!settings_.keep && settings_.points[i].prune && !more) directory_.remove_work(pruned_name(i), prune_keys_[i]);
      log_info(text(rows[i]->name, ": perplexity ", rows[i]->perplexity, ", ", static_cast<std::uint64_t>(rows[i]->bytes_per_token), " bytes a token"));
      COLONNADE_TRY(directory_.write_reports(present(rows), facts));
    }
    if (!settings_.keep) directory_.remove_all_work();
    COLONNADE_TRY(directory_.write_reports(present(rows), facts));
    return present(rows);
  }

 private:
  static std::vector<QualityRow> present(const std::vector<std::optional<QualityRow>>& rows) {
    std::vector<QualityRow> out;
    for (const auto& row : rows)
      if (row) out.push_back(*row);
    return out;
  }

  std::size_t calibration_tokens() const {
    std::size_t tokens = 0;
    for (const auto& window : settings_.prune.windows) tokens += window.size();
    return tokens;
  }

  void state(QualityFacts& facts) const {
    const ModelText& words = inputs_.text_of("");
    const engine::ModelConfig& config = inputs_.config();
    const shard::ParameterCount parameters = shard::count_parameters(config);
    facts.n_points = settings_.points.size();
    facts.lines = {
        text("Model: ", shard::stored_model_name(settings_.source), " (", config.family, "), ", parameters.total, " parameters, ",
             parameters.active, " used by one token; packed for ", kernels_, " by built-in costs."),
        text("Text: ", std::filesystem::path(settings_.text_name).filename().string(), ", ", words.windows.scored_tokens, " tokens in ",
             words.windows.tokens.size(), " windows of up to ", words.longest_tokens, " of ", words.windows.documents,
             words.windows.documents == 1 ? " document." : " documents."),
        text("Calibration: ", calibration_tokens() == 0 ? "none." : text(calibration_tokens(), " tokens of ", settings_.calibration_name, ".")),
        "Read a token: the weights that decoding one token reads, experts by their share; keys and values of the context come on top.",
        "± is the standard error over tokens. All models predict the same ones, so what lies between two models is more certain than that."};
  }

  QualityCosts costs() const {
    return {.config = inputs_.config(), .calibration_tokens = calibration_tokens(), .scored_tokens = inputs_.text_of("").windows.scored_tokens,
            .compare = settings_.compare};
  }

  double total_cost(const std::vector<std::optional<QualityRow>>& rows) const {
    const QualityCosts costs = this->costs();
    double total = 0;
    const QualityPoint* last = nullptr;  // that was not done yet
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const QualityPoint& point = settings_.points[i];
      if (rows[i]) continue;
      total += costs.pack_and_evaluate();
      if (point.prune && (last == nullptr || !same_pruned_model(*last, point))) total += costs.prune(*point.prune);
      last = &point;
    }
    return total;
  }

  std::string pruned_name(std::size_t i) const {
    const QualityPoint& point = settings_.points[i];
    return text("pruned ", point.prune->name(), " ", shard::pruned_values_name(point.pruned_values()));
  }

  /// The pruned model of a point; made where it is not there.
  Result<std::filesystem::path> pruned_model(std::size_t i, StepProgress& progress) {
    const QualityPoint& point = settings_.points[i];
    const std::filesystem::path place = directory_.work(pruned_name(i), prune_keys_[i]);
    if (shard::PruneDirectory::is_finished(place)) return place;
    shard::PruneOptions prune = inputs_.pruning(point);
    prune.on_progress = progress.watcher();
    progress.begin(costs().prune(*point.prune));
    COLONNADE_ASSIGN(const shard::PruneReport report, shard::prune_model(settings_.source, place, prune));
    if (!report.weak_experts.empty())
      log_warning(text(pruned_name(i), ": ", report.weak_experts.size(), " experts were hardly reached by the calibration text"));
    progress.at(1);
    return place;
  }

  /// The packed model of a point; made where it is not there.
  Result<std::filesystem::path> packed_model(std::size_t i, StepProgress& progress) {
    const QualityPoint& point = settings_.points[i];
    if (point.values.empty()) return std::filesystem::path(point.model);
    if (is_reference(point)) return reference_model();
    const std::filesystem::path place = directory_.work(point.name(), keys_[i]);
    if (shard::is_packed_model(place)) return place;
    std::filesystem::path source = point.model.empty() ? settings_.source : point.model;
    if (point.prune) {
      COLONNADE_ASSIGN(source, pruned_model(i, progress));
    }
    return pack(source, place, inputs_.packing(point.values));
  }

  static Result<std::filesystem::path> pack(const std::filesystem::path& source, const std::filesystem::path& place, shard::PackOptions options) {
    options.on_progress = [](double) {};
    COLONNADE_TRY(shard::pack_model(source, place, options));
    return place;
  }

  /// A job that takes the longest window.
  Result<std::unique_ptr<RunningJob>> start(const std::filesystem::path& packed, const ModelText& words) const {
    LaunchOptions launch = settings_.launch;
    launch.model = packed.string();
    launch.values.clear();
    COLONNADE_ASSIGN(std::unique_ptr<RunningJob> job, launch_job(launch));
    if (static_cast<std::size_t>(job->context_tokens()) < words.longest_tokens)
      return Error{ErrorCode::kExhausted, text("--window: expected windows of at most ", job->context_tokens(), " tokens, for which the KV cache has room, found one of ",
                                               words.longest_tokens)};
    return job;
  }

  /// The dense model that predictions are compared with.
  bool is_reference(const QualityPoint& point) const {
    return !point.prune && point.model.empty() && point.values == kReferenceValues &&
           (settings_.head_values.empty() || settings_.head_values == kReferenceValues);
  }

  Result<std::filesystem::path> reference_model() const {
    const std::filesystem::path place = directory_.work("reference", inputs_.source_id());
    if (shard::is_packed_model(place)) return place;
    shard::PackOptions options = inputs_.packing(kReferenceValues);
    options.rules->head_values = options.rules->values;
    return pack(settings_.source, place, options);
  }

  Status measure(const QualityPoint& point, RunningJob& job, StepProgress& progress, QualityRow& row) {
    const ModelText& words = inputs_.text_of(point.model);
    const double part = settings_.compare ? 0.2 : 1.0;  // of the time
    std::size_t tokens = 0;
    const auto share = [&](std::size_t more) {
      tokens += more;
      return static_cast<double>(tokens) / static_cast<double>(words.windows.scored_tokens);
    };
    COLONNADE_ASSIGN(const Likelihood likelihood, measure_likelihood(job, words.windows, settings_.rules.in_flight,
                                                                     [&](std::size_t more) { progress.at(part * share(more)); }));
    row.perplexity = likelihood.perplexity();
    row.perplexity_error = likelihood.perplexity_error();
    row.mean_nll = likelihood.mean();
    row.bits_per_byte = likelihood.bits_per_byte(words.windows);
    row.tokens = likelihood.tokens;
    row.text_id = words.id;
    if (!settings_.compare) return {};
    if (is_reference(point)) {
      row.distance = QualityDistance{.top_1_agreement = 1};
      return {};
    }
    if (inputs_.text_of("").id != words.id || inputs_.config().vocab_size != job.model().manifest.config.vocab_size) return {};  // nothing to compare
    COLONNADE_ASSIGN(const std::filesystem::path place, reference_model());
    COLONNADE_ASSIGN(const auto reference, start(place, words));
    tokens = 0;
    COLONNADE_ASSIGN(const DistributionDistance distance, measure_distance(*reference, job, words.windows, [&](std::size_t more) {
                       progress.at(part + (1 - part) * share(more));
                     }));
    row.distance = QualityDistance{distance.divergence(), distance.divergence_error(), distance.agreement()};
    return {};
  }

  Result<QualityRow> make_row(std::size_t i, StepProgress& progress) {
    const QualityPoint& point = settings_.points[i];
    COLONNADE_ASSIGN(const std::filesystem::path packed, packed_model(i, progress));
    progress.begin(costs().pack_and_evaluate());
    COLONNADE_ASSIGN(const auto job, start(packed, inputs_.text_of(point.model)));
    const shard::Manifest& manifest = job->model().manifest;
    QualityRow row;
    row.name = point.name();
    row.kind = point.prune ? point.prune->method.name() : point.model.empty() ? "dense" : "other";
    row.structure = point.prune ? shard::structure_text(point.prune->structure) : "dense";
    row.values = point.values.empty() ? projection_values(manifest.paths) : point.values;
    row.asked_sparsity = point.prune ? point.prune->sparsity : 0;
    row.sparsity = 1 - projection_zeros(manifest.paths).density;
    row.bytes_per_token = step_weight_bytes(manifest, job->plan(), 1);
    row.packed_bytes = std::accumulate(manifest.blob_files.begin(), manifest.blob_files.end(), std::uint64_t{0},
                                       [](std::uint64_t sum, const shard::BlobFile& file) { return sum + file.bytes; });
    row.weights = format_summary(manifest.paths, false);
    COLONNADE_TRY(measure(point, *job, progress, row));
    progress.at(1);
    return row;
  }

  const QualitySettings& settings_;
  QualityDirectory& directory_;
  const QualityInputs& inputs_;
  const std::string kernels_;
  std::vector<std::string> keys_;        // of the points
  std::vector<std::string> prune_keys_;  // of their pruned models; "": not pruned
};

}  // namespace

Result<std::vector<QualityRow>> run_quality(const QualitySettings& settings, QualityFacts& facts) {
  COLONNADE_ASSIGN(const engine::KernelTable* const kernels, engine::choose_kernels(settings.launch.isa));
  COLONNADE_ASSIGN(const QualityInputs inputs, QualityInputs::read(settings, kernels->name));
  COLONNADE_ASSIGN(QualityDirectory directory, QualityDirectory::open(settings.out));
  return QualityRunner(settings, directory, inputs, kernels->name).run(facts);
}

}  // namespace colonnade::cli
