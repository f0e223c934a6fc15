#include "shard/prune/prune_layer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/formats/bf16.h"
#include "shard/prune/row_group.h"

namespace colonnade::shard {
namespace {

/// An expert with fewer tokens than a quarter of its inputs' width says too little of how they go together.
constexpr std::size_t kColumnsPerToken = 4;
/// Damping is raised by this until a matrix has a factor in fp32.
constexpr double kMoreDamping = 10;
constexpr int kAttempts = 6;

FloatMatrix copy_of(MemoryMeter& meter, const FloatMatrix& matrix) {
  FloatMatrix copy(meter, matrix.rows(), matrix.cols());
  std::memcpy(copy.data(), matrix.data(), matrix.size() * sizeof(float));
  return copy;
}

/// Rows of `weights` as the bf16 numbers that they are.
std::vector<std::uint16_t> halves_of(const FloatMatrix& weights, RowRange rows) {
  std::vector<std::uint16_t> halves(rows.count() * weights.cols());
  const float* const values = weights.row(rows.first);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = engine::f32_to_bf16(values[i]);
  return halves;
}

}  // namespace

Status LayerPruner::calibrate(CalibrationBatch& batch) {
  sums_ = std::make_unique<LayerSums>(task_, rules_.needs_gram());
  COLONNADE_TRY(sums_->run(batch, false, [](std::size_t) {}));
  COLONNADE_TRY(average_experts());
  return sums_->gather();
}

bool LayerPruner::is_known(std::size_t input) const {
  const LayerInput& of = task_.matrices.inputs[input];
  return !of.of_expert || sums_->n_tokens(input) * kColumnsPerToken >= of.cols;
}

Status LayerPruner::average_experts() {
  std::vector<std::size_t> experts;
  bool needed = false;
  for (std::size_t i = 0; i < task_.matrices.inputs.size(); ++i) {
    const LayerInput& input = task_.matrices.inputs[i];
    if (!input.of_expert || !input.of_block) continue;
    experts.push_back(i);
    needed = needed || !is_known(i);
  }
  if (!needed) return {};
  std::vector<double> squares(task_.matrices.inputs[experts.front()].cols);
  for (const std::size_t expert : experts)
    for (std::size_t c = 0; c < squares.size(); ++c) squares[c] += sums_->squares(expert)[c];
  for (const double square : squares) average_norms_.push_back(static_cast<float>(std::sqrt(square)));
  if (!rules_.needs_gram()) return {};
  COLONNADE_ASSIGN(average_gram_, sums_->total_gram(experts));
  return {};
}

std::vector<std::string> LayerPruner::weak_experts() const {
  std::vector<std::string> weak;
  for (std::size_t i = 0; sums_ != nullptr && i < task_.matrices.inputs.size(); ++i) {
    const LayerInput& input = task_.matrices.inputs[i];
    if (input.of_block && !is_known(i))
      weak.push_back(text("layer ", task_.layer, ", expert ", input.expert, ": ", sums_->n_tokens(i), " tokens"));
  }
  return weak;
}

Result<LayerOutcome> LayerPruner::prune(PrunedLayout layout, SafetensorsFile& file, const std::function<void(std::size_t)>& on_weights) {
  LayerOutcome outcome{.weights = task_.matrices.weights(), .weak_experts = weak_experts()};
  PrunedTensors tensors(task_.model, layout, file);
  COLONNADE_TRY(task_.group.agree(prune_own(tensors, on_weights, outcome)));
  COLONNADE_TRY(collect(tensors, on_weights, outcome));
  tensors.finish();
  return outcome;
}

Status LayerPruner::prune_own(PrunedTensors& tensors, const std::function<void(std::size_t)>& on_weights, LayerOutcome& outcome) {
  for (std::size_t i = 0; i < task_.matrices.inputs.size(); ++i) {
    const std::vector<int> users = task_.shares.users_of(task_.matrices.inputs[i]);
    if (std::find(users.begin(), users.end(), task_.group.rank()) != users.end())
      COLONNADE_TRY(prune_input(i, tensors, on_weights, outcome));
  }
  return {};
}

Status LayerPruner::prune_input(std::size_t index, PrunedTensors& tensors, const std::function<void(std::size_t)>& on_weights,
                                LayerOutcome& outcome) {
  const LayerInput& input = task_.matrices.inputs[index];
  const Compute& compute = task_.compute;
  InputKnowledge knowledge;
  Factor factor;
  FloatMatrix gram;
  std::vector<float> norms;
  if (sums_ != nullptr) {
    if (is_known(index)) {
      norms = sums_->norms(index);
      gram = sums_->take_gram(index);
    } else if (input.of_block) {
      norms = average_norms_;
      if (average_gram_.size() > 0) gram = copy_of(task_.meter, average_gram_);
    }
    // Neurons of one expert have nothing to do with those of another: there, the weights alone decide.
    knowledge.norms = norms;
    if (gram.size() > 0) {
      add_damping(gram, damping_);
      knowledge.gram = &gram;
      for (int attempt = 0; rules_.needs_factor() && knowledge.factor == nullptr && attempt < kAttempts; ++attempt) {
        if (factor_upper(compute, copy_of(task_.meter, gram), factor)) {
          knowledge.factor = &factor;
        } else {
          add_damping(gram, damping_ * std::pow(kMoreDamping, attempt + 1));
        }
      }
    }
  }
  for (const std::size_t m : input.matrices) {
    const LayerMatrix& matrix = task_.matrices.matrices[m];
    const RowRange rows = task_.own_rows()[m];
    if (rows.empty()) continue;
    COLONNADE_ASSIGN(FloatMatrix weights, read_layer_matrix(task_.model, matrix, compute, task_.meter));
    MatrixRules rules = rules_;
    if (!matrix.rounded) rules.values = PrunedValues::kBf16;
    const MatrixOutcome one = prune_rows(compute, task_.meter, rules, knowledge, matrix.first_columns, weights, rows);
    if (!task_.group.leads()) {
      pruned_.push_back({m, one, halves_of(weights, rows)});
      continue;
    }
    outcome.kept += one.kept;
    outcome.lost += one.lost;
    outcome.total += one.total;
    for (std::size_t first = rows.first; first < rows.last; first += kRowGroup) {
      const RowRange some{first, std::min(first + kRowGroup, rows.last)};
      COLONNADE_TRY(tensors.put(matrix.part, {matrix.rows, matrix.cols}, some, halves_of(weights, some)));
    }
    on_weights(rows.count() * matrix.cols);
  }
  if (sums_ != nullptr) sums_->take_gram(index);
  return {};
}

Status LayerPruner::collect(PrunedTensors& tensors, const std::function<void(std::size_t)>& on_weights, LayerOutcome& outcome) {
  constexpr int kFirst[] = {0};
  RankGroup& group = task_.group;
  std::size_t next = 0;
  for (int rank = 1; rank < group.size(); ++rank)
    for (const LayerInput& input : task_.matrices.inputs)
      for (const std::size_t m : input.matrices) {
        const RowRange rows = task_.shares.rows[static_cast<std::size_t>(rank)][m];
        if (rows.empty()) continue;
        const LayerMatrix& matrix = task_.matrices.matrices[m];
        Pruned pruned;
        if (group.rank() == rank) pruned = std::move(pruned_[next++]);
        if (group.leads()) pruned.values.resize(rows.count() * matrix.cols);
        COLONNADE_TRY(group.pass_value(rank, kFirst, pruned.outcome));
        COLONNADE_TRY(group.pass_values(rank, kFirst, std::span(pruned.values)));
        if (!group.leads()) continue;
        outcome.kept += pruned.outcome.kept;
        outcome.lost += pruned.outcome.lost;
        outcome.total += pruned.outcome.total;
        COLONNADE_TRY(tensors.put(matrix.part, {matrix.rows, matrix.cols}, rows, pruned.values));
        on_weights(rows.count() * matrix.cols);
      }
  return {};
}

PathProvider pruned_provider(const SourceModel& model, const TensorSource& pruned) {
  return [&model, &pruned](const PathSpec& path) { return model.weights_of(path, is_pruned(path.kind) ? &pruned : nullptr); };
}

std::uint64_t prune_layer_bytes(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, const LayerMatrices& matrices,
                                const LayerShares& shares, int rank, int layer, const MatrixRules& rules, PrunedLayout layout,
                                std::size_t window_tokens, int n_threads) {
  const bool alone = shares.sums.size() == 1;
  std::uint64_t statistics = 0, one_matrix = 0, result = 0, shown = 0;
  std::size_t widest_block = 0, widest_inner = 0;
  const std::size_t unit_tokens = alone ? 0 : std::max(window_tokens, calibration_step_tokens(SIZE_MAX));
  for (std::size_t i = 0; i < matrices.inputs.size(); ++i) {
    const LayerInput& input = matrices.inputs[i];
    const bool gram = rules.needs_gram();
    const std::size_t step_tokens = calibration_step_tokens(SIZE_MAX);
    const RowRange sums = shares.sums[static_cast<std::size_t>(rank)][i];
    if (window_tokens > 0 && !sums.empty()) statistics += InputStatistics::bytes(input.cols, gram, sums.count(), step_tokens);
    if (input.of_expert) {
      std::size_t& widest = input.of_block ? widest_block : widest_inner;
      widest = std::max(widest, input.cols);
    } else {
      shown += unit_tokens * input.cols * sizeof(float);
    }
    std::uint64_t own = 0;
    for (const std::size_t m : input.matrices) {
      const LayerMatrix& matrix = matrices.matrices[m];
      const RowRange rows = shares.rows[static_cast<std::size_t>(rank)][m];
      if (rank == 0) result += matrix.rows * matrix.cols * (layout == PrunedLayout::kDense ? 2 : 3);
      if (rows.empty()) continue;
      own += rows.count() * matrix.cols;
      const std::uint64_t squares = window_tokens > 0 && gram ? 2 * sizeof(float) * input.cols * input.cols : 0;
      one_matrix = std::max(one_matrix, squares + matrix.rows * matrix.cols * sizeof(float) +
                                            prune_matrix_bytes(rules, matrix.rows, matrix.cols, n_threads));
    }
    if (rank != 0) result += 2 * own;
    if (!alone && own > 0 && window_tokens > 0 && gram) statistics += sizeof(float) * input.cols * input.cols;  // gathered
  }
  const auto n_active = static_cast<std::size_t>(config.layers[static_cast<std::size_t>(layer)].n_active);
  shown += unit_tokens * n_active * (widest_block + widest_inner) * sizeof(float);
  const std::uint64_t average = window_tokens > 0 && rules.needs_gram() ? widest_block * widest_block * sizeof(float) : 0;
  const std::uint64_t running = window_tokens > 0 ? LayerModel::bytes(config, paths, layer, window_tokens) + shown : 0;
  return statistics + average + std::max(running, one_matrix + result);
}

}  // namespace colonnade::shard
