#include "shard/prune/prune_layer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/format_text.h"
#include "engine/base/log.h"

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

}  // namespace

LayerPruner::LayerPruner(const SourceModel& model, const std::vector<PathSpec>& paths, const LayerMatrices& matrices, int layer,
                         const MatrixRules& rules, double damping, const Compute& compute, MemoryMeter& meter)
    : model_(model), paths_(paths), matrices_(matrices), layer_(layer), rules_(rules), damping_(damping), compute_(compute), meter_(meter) {}

Status LayerPruner::calibrate(CalibrationBatch& batch) {
  statistics_ = std::make_unique<LayerStatistics>(matrices_, compute_, meter_, rules_.needs_gram());
  const PathProvider provider = [this](const PathSpec& path) { return model_.weights_of(path); };
  COLONNADE_ASSIGN(const auto layer, LayerModel::layer(model_.config(), paths_, layer_, provider, compute_, meter_, statistics_.get()));
  statistics_->attach(*layer);
  COLONNADE_TRY(layer->run(batch, false, [](std::size_t) {}));
  statistics_->finish();
  average_experts();
  return {};
}

bool LayerPruner::is_known(const LayerInput& input, const InputStatistics& statistics) const {
  return !input.of_expert || statistics.n_tokens() * kColumnsPerToken >= statistics.cols();
}

void LayerPruner::average_experts() {
  std::vector<InputStatistics*> experts;
  bool needed = false;
  for (std::size_t i = 0; i < matrices_.inputs.size(); ++i) {
    const LayerInput& input = matrices_.inputs[i];
    if (!input.of_expert || !input.of_block) continue;
    experts.push_back(&statistics_->of_input(i));
    needed = needed || !is_known(input, *experts.back());
  }
  if (!needed) return;
  const std::size_t cols = experts.front()->cols();
  std::vector<double> squares(cols);
  if (rules_.needs_gram()) average_gram_ = FloatMatrix(meter_, cols, cols);
  for (InputStatistics* expert : experts) {
    for (std::size_t c = 0; c < cols; ++c) squares[c] += expert->squares()[c];
    if (average_gram_.size() > 0) compute_.kernels.add(average_gram_.data(), expert->gram().data(), average_gram_.size());
  }
  for (const double square : squares) average_norms_.push_back(static_cast<float>(std::sqrt(square)));
}

Result<LayerOutcome> LayerPruner::prune(PrunedLayout layout, SafetensorsFile& file, Progress& progress) {
  LayerOutcome outcome;
  PrunedTensors tensors(model_, layout, file);
  for (std::size_t i = 0; i < matrices_.inputs.size(); ++i) COLONNADE_TRY(prune_input(i, tensors, progress, outcome));
  tensors.finish();
  return outcome;
}

Status LayerPruner::prune_input(std::size_t index, PrunedTensors& tensors, Progress& progress, LayerOutcome& outcome) {
  const LayerInput& input = matrices_.inputs[index];
  InputKnowledge knowledge;
  Factor factor;
  FloatMatrix gram;
  std::vector<float> norms;
  if (statistics_ != nullptr) {
    InputStatistics& statistics = statistics_->of_input(index);
    const bool known = is_known(input, statistics);
    if (!known && input.of_block)
      outcome.weak_experts.push_back(text("layer ", layer_, ", expert ", input.expert, ": ", statistics.n_tokens(), " tokens"));
    if (known) {
      norms = statistics.norms();
      gram = std::move(statistics.gram());
    } else if (input.of_block) {
      norms = average_norms_;
      if (average_gram_.size() > 0) gram = copy_of(meter_, average_gram_);
    }
    // Neurons of one expert have nothing to do with those of another: there, the weights alone decide.
    knowledge.norms = norms;
    if (gram.size() > 0) {
      add_damping(gram, damping_);
      knowledge.gram = &gram;
      for (int attempt = 0; rules_.needs_factor() && knowledge.factor == nullptr && attempt < kAttempts; ++attempt) {
        if (factor_upper(compute_, copy_of(meter_, gram), factor)) {
          knowledge.factor = &factor;
        } else {
          add_damping(gram, damping_ * std::pow(kMoreDamping, attempt + 1));
        }
      }
    }
  }
  for (const std::size_t m : input.matrices) {
    const LayerMatrix& matrix = matrices_.matrices[m];
    COLONNADE_ASSIGN(FloatMatrix weights, read_layer_matrix(model_, paths_, matrix, compute_, meter_));
    const MatrixOutcome one = prune_matrix(compute_, meter_, rules_, knowledge, matrix.first_columns, weights);
    outcome.weights += weights.size();
    outcome.kept += one.kept;
    outcome.lost += one.lost;
    outcome.total += one.total;
    COLONNADE_TRY(tensors.put(matrix.part, weights));
    progress.add(weights.size());
  }
  if (statistics_ != nullptr) statistics_->forget(index);
  return {};
}

PathProvider pruned_provider(const SourceModel& model, const TensorSource& pruned) {
  return [&model, &pruned](const PathSpec& path) {
    PathWeights weights = model.weights_of(path);
    if (!is_pruned(model.config(), path.kind)) return weights;
    weights.rows = [&model, &pruned, &path](const MatrixSpec& matrix, std::uint32_t first_row, std::uint32_t n_rows, float* out) -> Status {
      Window window = model.matrix_window(path, matrix);
      window.first_row += first_row;
      window.n_rows = n_rows;
      const TensorPart part = model.matrix_part(path, matrix.role);
      COLONNADE_ASSIGN(const TensorRows rows, pruned.find(part.tensor, model.tensor(part.tensor).shape()));
      return read_matrix_part(rows, part, window, out, matrix.cols);
    };
    return weights;
  };
}

std::uint64_t prune_layer_bytes(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, const LayerMatrices& matrices,
                                int layer, const MatrixRules& rules, PrunedLayout layout, std::size_t window_tokens, int n_threads) {
  std::uint64_t statistics = 0, one_matrix = 0, result = 0;
  std::size_t widest_block = 0;
  for (const LayerInput& input : matrices.inputs) {
    if (window_tokens > 0) statistics += InputStatistics::bytes(input.cols, rules.needs_gram(), LayerModel::step_tokens(SIZE_MAX));
    if (input.of_block && input.of_expert) widest_block = std::max(widest_block, input.cols);
    for (const std::size_t m : input.matrices) {
      const LayerMatrix& matrix = matrices.matrices[m];
      const std::uint64_t squares = window_tokens > 0 && rules.needs_gram() ? 2 * sizeof(float) * input.cols * input.cols : 0;
      one_matrix = std::max(one_matrix, squares + matrix.rows * matrix.cols * sizeof(float) +
                                            prune_matrix_bytes(rules, matrix.rows, matrix.cols, n_threads));
      result += matrix.rows * matrix.cols * (layout == PrunedLayout::kDense ? 2 : 3);
    }
  }
  const std::uint64_t average = window_tokens > 0 && rules.needs_gram() ? widest_block * widest_block * sizeof(float) : 0;
  const std::uint64_t running = window_tokens > 0 ? LayerModel::bytes(config, paths, layer, window_tokens) : 0;
  return statistics + average + std::max(running, one_matrix + result);
}

}  // namespace colonnade::shard
