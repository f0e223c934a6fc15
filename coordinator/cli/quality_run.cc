#include "coordinator/cli/quality_run.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>

#include "coordinator/cli/bench_steps.h"
#include "coordinator/cli/format_settings.h"
#include "coordinator/cli/quality_directory.h"
#include "coordinator/cli/tokenizer_file.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/progress.h"
#include "engine/base/version.h"
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

std::uint64_t windows_id(const Windows& windows) {
  std::vector<std::int32_t> all;
  for (std::size_t i = 0; i < windows.tokens.size(); ++i) {
    all.push_back(static_cast<std::int32_t>(windows.tokens[i].size()));
    all.push_back(static_cast<std::int32_t>(windows.first_scored[i]));
    all.insert(all.end(), windows.tokens[i].begin(), windows.tokens[i].end());
  }
  return shard::blob_checksum(std::as_bytes(std::span(all)));
}

/// A model that runs, and the text in its tokens.
struct Subject {
  std::unique_ptr<RunningJob> job;
  Windows windows;
  std::uint64_t text_id = 0;
};

class QualityRunner {
 public:
  QualityRunner(const QualitySettings& settings, QualityDirectory& directory, engine::ModelConfig config, std::string kernels)
      : settings_(settings), directory_(directory), config_(std::move(config)), kernels_(std::move(kernels)) {}

  Result<std::vector<QualityRow>> run(QualityFacts& facts) {
    COLONNADE_TRY(state(facts));
    std::vector<std::optional<QualityRow>> rows;
    for (const QualityPoint& point : settings_.points) {
      COLONNADE_ASSIGN(std::string key, key_of(point));
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
      if (!settings_.keep && settings_.points[i].prune && !more) directory_.remove_work(pruned_name(i), prune_key(settings_.points[i]));
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

  /// Looks at the text as well, before anything is made.
  Status state(QualityFacts& facts) {
    COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(settings_.source));
    COLONNADE_ASSIGN(const Windows windows, make_windows(*tokenizer, settings_.text, settings_.rules,
                                                         static_cast<std::size_t>(config_.max_context_tokens), settings_.text_name));
    scored_tokens_ = windows.scored_tokens;
    text_checksum_ = shard::blob_checksum(std::as_bytes(std::span(settings_.text)));
    COLONNADE_ASSIGN(source_id_, shard::source_fingerprint(settings_.source, {}));
    const shard::ParameterCount parameters = shard::count_parameters(config_);
    facts.n_points = settings_.points.size();
    facts.lines = {
        text("Model: ", shard::stored_model_name(settings_.source), " (", config_.family, "), ", parameters.total, " parameters, ",
             parameters.active, " used by one token; packed for ", kernels_, " by built-in costs."),
        text("Text: ", std::filesystem::path(settings_.text_name).filename().string(), ", ", windows.scored_tokens, " tokens in ",
             windows.tokens.size(), " windows of up to ", std::min<std::size_t>(settings_.rules.window_tokens, static_cast<std::size_t>(config_.max_context_tokens)),
             " of ", windows.documents, windows.documents == 1 ? " document." : " documents."),
        text("Calibration: ", calibration_tokens() == 0 ? "none." : text(calibration_tokens(), " tokens of ", settings_.calibration_name, ".")),
        "Read a token: the weights that decoding one token reads, experts by their share; keys and values of the context come on top.",
        "± is the standard error over tokens. All models predict the same ones, so what lies between two models is more certain than that."};
    return {};
  }

  shard::PackOptions pack_options(const std::string& values) const {
    const auto format_of = [](const std::string& name) { return engine::find_format(name)->id(); };
    shard::FormatRules rules;
    rules.values = format_of(values);
    rules.head_values = settings_.head_values.empty() ? rules.values : format_of(settings_.head_values);
    rules.isa = kernels_;
    return shard::PackOptions{.threads = settings_.launch.threads, .name = shard::stored_model_name(settings_.source), .rules = rules};
  }

  /// Everything that the pruned model depends on.
  std::string prune_key(const QualityPoint& point) const {
    const shard::PruneOptions& prune = settings_.prune;
    std::vector<std::int32_t> tokens;
    for (const auto& window : prune.windows) {
      tokens.push_back(static_cast<std::int32_t>(window.size()));
      tokens.insert(tokens.end(), window.begin(), window.end());
    }
    return text(source_id_, " ", point.prune->name(), " ", shard::pruned_values_name(point.pruned_values()), " ", static_cast<int>(prune.rates), " ",
                prune.rate_spread, " ", prune.damping, " ", shard::blob_checksum(std::as_bytes(std::span(tokens))));
  }

  /// Everything that a row depends on.
  Result<std::string> key_of(const QualityPoint& point) const {
    const EvaluationRules& rules = settings_.rules;
    const LaunchOptions& launch = settings_.launch;
    std::string key = text(kVersion, " ", kernels_, " ", launch.n_ranks, " ", launch.n_stages, " ", launch.max_step_tokens, " ", static_cast<int>(launch.kv_type),
                           " ", launch.kv_tokens, " ", launch.kv_bytes, " ", launch.context_tokens, " ", rules.window_tokens, " ", rules.stride, " ", rules.windows_per_document,
                           " ", rules.min_bytes, " ", rules.documents, " ", rules.separator, " ",
                           text_checksum_, " ", settings_.compare, " ", source_id_, " ", point.name());
    if (point.values.empty()) {
      COLONNADE_ASSIGN(const shard::Manifest manifest, shard::read_manifest(point.model));
      for (const shard::PathSpec& path : manifest.paths) key += text(" ", path.checksum);
    } else {
      COLONNADE_ASSIGN(const std::string fingerprint,
                       shard::source_fingerprint(point.model.empty() ? settings_.source : point.model, pack_options(point.values)));
      key += text(" ", fingerprint, " ", settings_.head_values);
    }
    if (point.prune) key += text(" ", prune_key(point));
    return text(shard::blob_checksum(std::as_bytes(std::span(key))));
  }

  QualityCosts costs() const {
    return {.config = config_, .calibration_tokens = calibration_tokens(), .scored_tokens = scored_tokens_, .compare = settings_.compare};
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
    const std::filesystem::path place = directory_.work(pruned_name(i), prune_key(point));
    if (shard::PruneDirectory::is_finished(place)) return place;
    shard::PruneOptions prune = settings_.prune;
    prune.rules = {.method = point.prune->method.method, .refit = point.prune->method.refit, .structure = point.prune->structure,
                   .sparsity = point.prune->sparsity, .values = point.pruned_values()};
    if (!shard::needs_calibration(prune)) prune.windows.clear();
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
    return pack(source, place, pack_options(point.values));
  }

  static Result<std::filesystem::path> pack(const std::filesystem::path& source, const std::filesystem::path& place, shard::PackOptions options) {
    options.on_progress = [](double) {};
    COLONNADE_TRY(shard::pack_model(source, place, options));
    return place;
  }

  Result<Subject> start(const std::filesystem::path& packed) const {
    LaunchOptions launch = settings_.launch;
    launch.model = packed.string();
    launch.values.clear();
    Subject subject;
    COLONNADE_ASSIGN(subject.job, launch_job(launch));
    COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(packed));
    COLONNADE_ASSIGN(subject.windows, make_windows(*tokenizer, settings_.text, settings_.rules, static_cast<std::size_t>(subject.job->context_tokens()), settings_.text_name));
    subject.text_id = windows_id(subject.windows);
    return subject;
  }

  /// The dense model that predictions are compared with.
  bool is_reference(const QualityPoint& point) const {
    return !point.prune && point.model.empty() && point.values == kReferenceValues &&
           (settings_.head_values.empty() || settings_.head_values == kReferenceValues);
  }

  Result<std::filesystem::path> reference_model() const {
    const std::filesystem::path place = directory_.work("reference", source_id_);
    if (shard::is_packed_model(place)) return place;
    shard::PackOptions options = pack_options(kReferenceValues);
    options.rules->head_values = options.rules->values;
    return pack(settings_.source, place, options);
  }

  Status measure(const QualityPoint& point, Subject& subject, StepProgress& progress, QualityRow& row) {
    const double part = settings_.compare ? 0.2 : 1.0;  // of the time
    std::size_t tokens = 0;
    const auto share = [&](std::size_t more) {
      tokens += more;
      return static_cast<double>(tokens) / static_cast<double>(subject.windows.scored_tokens);
    };
    COLONNADE_ASSIGN(const Likelihood likelihood, measure_likelihood(*subject.job, subject.windows, settings_.rules.in_flight,
                                                                     [&](std::size_t more) { progress.at(part * share(more)); }));
    row.perplexity = likelihood.perplexity();
    row.perplexity_error = likelihood.perplexity_error();
    row.mean_nll = likelihood.mean();
    row.bits_per_byte = likelihood.bits_per_byte(subject.windows);
    row.tokens = likelihood.tokens;
    row.text_id = subject.text_id;
    if (!settings_.compare) return {};
    if (is_reference(point)) {
      row.distance = QualityDistance{.top_1_agreement = 1};
      return {};
    }
    COLONNADE_ASSIGN(const std::filesystem::path place, reference_model());
    COLONNADE_ASSIGN(Subject reference, start(place));
    if (reference.text_id != row.text_id ||
        reference.job->model().manifest.config.vocab_size != subject.job->model().manifest.config.vocab_size) return {};  // nothing to compare
    tokens = 0;
    COLONNADE_ASSIGN(const DistributionDistance distance, measure_distance(*reference.job, *subject.job, subject.windows, [&](std::size_t more) {
                       progress.at(part + (1 - part) * share(more));
                     }));
    row.distance = QualityDistance{distance.divergence(), distance.divergence_error(), distance.agreement()};
    return {};
  }

  Result<QualityRow> make_row(std::size_t i, StepProgress& progress) {
    const QualityPoint& point = settings_.points[i];
    COLONNADE_ASSIGN(const std::filesystem::path packed, packed_model(i, progress));
    progress.begin(costs().pack_and_evaluate());
    COLONNADE_ASSIGN(Subject subject, start(packed));
    const shard::Manifest& manifest = subject.job->model().manifest;
    QualityRow row;
    row.name = point.name();
    row.kind = point.prune ? point.prune->method.name() : point.model.empty() ? "dense" : "other";
    row.structure = point.prune ? shard::structure_text(point.prune->structure) : "dense";
    row.values = point.values.empty() ? projection_values(manifest.paths) : point.values;
    row.asked_sparsity = point.prune ? point.prune->sparsity : 0;
    row.sparsity = 1 - projection_density(manifest.paths);
    row.bytes_per_token = step_weight_bytes(manifest, subject.job->plan(), 1);
    row.packed_bytes = std::accumulate(manifest.blob_files.begin(), manifest.blob_files.end(), std::uint64_t{0},
                                       [](std::uint64_t sum, const shard::BlobFile& file) { return sum + file.bytes; });
    row.weights = format_summary(manifest.paths, false);
    COLONNADE_TRY(measure(point, subject, progress, row));
    progress.at(1);
    return row;
  }

  const QualitySettings& settings_;
  QualityDirectory& directory_;
  const engine::ModelConfig config_;
  const std::string kernels_;
  std::string source_id_;
  std::vector<std::string> keys_;  // of the points
  std::size_t scored_tokens_ = 0;
  std::uint64_t text_checksum_ = 0;
};

}  // namespace

Result<std::vector<QualityRow>> run_quality(const QualitySettings& settings, QualityFacts& facts) {
  COLONNADE_TRY(shard::check_stored_model(settings.source));
  COLONNADE_ASSIGN(const std::string config_text, shard::read_stored_config(settings.source));
  COLONNADE_ASSIGN(engine::ModelConfig config, shard::parse_model_config(config_text, shard::stored_config_name(settings.source)));
  if (config.encoder)
    return Error{ErrorCode::kInvalidArgument, text(settings.source, ": expected a model that predicts text, found an encoder")};
  for (const QualityPoint& point : settings.points)
    if (!point.model.empty() && !shard::is_packed_model(point.model)) COLONNADE_TRY(shard::check_stored_model(point.model));
  COLONNADE_ASSIGN(const engine::KernelTable* const kernels, engine::choose_kernels(settings.launch.isa));
  COLONNADE_ASSIGN(QualityDirectory directory, QualityDirectory::open(settings.out));
  return QualityRunner(settings, directory, std::move(config), kernels->name).run(facts);
}

}  // namespace colonnade::cli
