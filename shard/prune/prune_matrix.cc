#include "shard/prune/prune_matrix.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "shard/prune/refit.h"
#include "shard/prune/shrink_mask.h"
#include "shard/prune/sweep.h"

namespace colonnade::shard {
namespace {

/// Steps of a refit. After a sweep, which has done most of it, 16 leave less than 1 % of what there is to gain.
constexpr int kRefitSteps = 24;
/// The same between rounds, where only the order of weights matters.
constexpr int kRoundSteps = 8;
/// Of the weights that are left a round of sparsegpt with refit keeps at least this share. One round at 90 % lost more than wanda's mask
/// did after a refit; with rounds it is the best everywhere (docs/quality.md).
constexpr double kKeptInRound = 0.6;
/// The same where several columns go together: perplexity of the tales model with 75 and 90 % zeros in blocks of four 72.1 and 121 in place of 73.0 and 127.
constexpr double kUnitsKeptInRound = 0.8;

/// Masks that do not depend on what other weights lose.
class ScoredMask {
 public:
  ScoredMask(MemoryMeter& meter, const MatrixRules& rules, std::span<const float> norms, const FloatMatrix& weights)
      : rules_(rules), norms_(norms), weights_(weights) {
    if (rules.method != PruneMethod::kMagnitude || !rules.structure.any()) return;
    // One threshold for the whole matrix.
    const std::size_t units = rules.structure.units_of(weights.cols()), count = weights.rows() * units;
    scores_ = MeteredBuffer<float>(meter, count);
    sorted_ = MeteredBuffer<float>(meter, count);
    keep_ = MeteredBuffer<std::uint8_t>(meter, count);
    for (std::size_t row = 0; row < weights.rows(); ++row) score_units(weights.row(row), scores_.data() + row * units);
    keep_largest({scores_.data(), count}, count_zeros(count, rules.sparsity), {sorted_.data(), count}, keep_.data());
  }

  void fill(std::size_t first, RowGroup& group) const {
    const std::size_t cols = group.cols, unit = rules_.structure.unit, units = rules_.structure.units_of(cols);
    std::vector<float> scores(units), sorted(units);
    std::vector<std::uint8_t> keep(units);
    std::fill_n(group.keep(0), cols * kRowGroup, std::uint8_t{0});
    for (std::size_t row = 0; row < group.n_rows; ++row) {
      if (keep_.size() > 0) {
        std::copy_n(keep_.data() + (first + row) * units, units, keep.begin());
      } else {
        score_units(weights_.row(first + row), scores.data());
        const std::size_t width = rules_.structure.any() ? units : rules_.structure.group;
        for (std::size_t at = 0; at < units; at += width) {
          const std::size_t n = std::min(width, units - at);
          const std::size_t zeros = rules_.structure.any() ? count_zeros(n, rules_.sparsity) : n - rules_.structure.kept_of(n, rules_.sparsity);
          keep_largest({scores.data() + at, n}, zeros, sorted, keep.data() + at);
        }
      }
      for (std::size_t col = 0; col < cols; ++col) group.keep(col)[row] = keep[col / unit];
    }
    group.clear_pruned();
  }

 private:
  /// Of a row: of each weight |weight| * norm; of several together the sum of the squares.
  void score_units(const float* from, float* scores) const {
    const std::size_t unit = rules_.structure.unit;
    for (std::size_t col = 0; col < weights_.cols(); ++col) {
      const float score = std::fabs(from[col]) * (rules_.method == PruneMethod::kWanda && !norms_.empty() ? norms_[col] : 1.0f);
      if (unit == 1) {
        scores[col] = score;
      } else {
        scores[col / unit] = (col % unit == 0 ? 0.0f : scores[col / unit]) + score * score;
      }
    }
  }

  const MatrixRules& rules_;
  std::span<const float> norms_;
  const FloatMatrix& weights_;
  MeteredBuffer<float> scores_, sorted_;
  MeteredBuffer<std::uint8_t> keep_;
};

/// The rules as far as `input` allows them.
MatrixRules possible(MatrixRules rules, const InputKnowledge& input) {
  if (input.gram == nullptr) rules.refit = false;
  if (rules.method == PruneMethod::kSparseGpt && input.factor == nullptr) rules.method = PruneMethod::kWanda;
  if (rules.method == PruneMethod::kWanda && input.norms.empty()) rules.method = PruneMethod::kMagnitude;
  return rules;
}

/// The sparsity after each round: densities fall by equal factors.
std::vector<double> round_sparsities(const MatrixRules& rules) {
  const double density = 1 - rules.sparsity;
  if (!rules.refit || rules.structure.kept != 0 || density <= 0) return {rules.sparsity};
  const double kept = rules.structure.unit > 1 ? kUnitsKeptInRound : kKeptInRound;
  const int rounds = std::max(1, static_cast<int>(std::ceil(std::log(density) / std::log(kept))));
  std::vector<double> sparsities;
  for (int i = 1; i < rounds; ++i) sparsities.push_back(1 - std::pow(density, static_cast<double>(i) / rounds));
  sparsities.push_back(rules.sparsity);
  return sparsities;
}

/// SparseGPT, in rounds where there is a refit.
void prune_in_rounds(const Compute& compute, const MatrixRules& rules, const InputKnowledge& input, RowGroup& group) {
  const std::vector<double> sparsities = round_sparsities(rules);
  sweep(compute, *input.factor, {.choose_mask = true, .structure = rules.structure, .sparsity = sparsities.front()}, group);
  for (std::size_t i = 1; i < sparsities.size(); ++i) {
    refit(compute, *input.gram, kRoundSteps, group);
    shrink_mask(*input.gram, rules.structure, sparsities[i], group);
  }
}

void prune_group(const Compute& compute, const MatrixRules& rules, const InputKnowledge& input, const ColumnRuns& runs,
                 const ScoredMask& mask, std::size_t first, Grid& grid, RowGroup& group) {
  const bool swept = rules.method == PruneMethod::kSparseGpt;
  if (swept) {
    prune_in_rounds(compute, rules, input, group);
  } else {
    mask.fill(first, group);
  }
  if (rules.refit) refit(compute, *input.gram, kRefitSteps, group);

  std::span<const float> importance;
  if (input.factor != nullptr) importance = input.factor->variance;
  grid.choose(rules.values, runs, importance, group);
  if (input.factor == nullptr || !(swept || rules.refit)) {
    grid.round_all(group);
    return;
  }
  // The error of the weights that stay splits into what the best fit on the mask leaves, and what rounding adds to that. So a
  // fit is what rounding is to come near to; without one, rounding makes up for pruned weights as well.
  if (rules.refit)
    for (std::size_t col = 0; col < group.cols; ++col) std::copy_n(group.values(col), kRowGroup, group.target(col));
  sweep(compute, *input.factor, {.grid = &grid}, group);
}

}  // namespace

Result<PruneMethod> parse_prune_method(std::string_view text) {
  for (const PruneMethod method : {PruneMethod::kMagnitude, PruneMethod::kWanda, PruneMethod::kSparseGpt})
    if (text == prune_method_name(method)) return method;
  return Error{ErrorCode::kInvalidArgument,
               colonnade::text("method: expected magnitude, wanda or sparsegpt, found ", text)};
}

const char* prune_method_name(PruneMethod method) {
  return method == PruneMethod::kMagnitude ? "magnitude" : method == PruneMethod::kWanda ? "wanda" : "sparsegpt";
}

MatrixOutcome prune_matrix(const Compute& compute, MemoryMeter& meter, const MatrixRules& rules, const InputKnowledge& input,
                           std::span<const std::size_t> pieces, FloatMatrix& weights) {
  return prune_rows(compute, meter, rules, input, pieces, weights, {0, weights.rows()});
}

MatrixOutcome prune_rows(const Compute& compute, MemoryMeter& meter, const MatrixRules& asked, const InputKnowledge& input,
                         std::span<const std::size_t> pieces, FloatMatrix& weights, RowRange rows) {
  const MatrixRules rules = possible(asked, input);
  // It may have zeros already.
  const auto filled = weights.size() - static_cast<std::size_t>(std::count(weights.data(), weights.data() + weights.size(), 0.0f));
  const double density = std::min(1 - rules.sparsity, static_cast<double>(filled) / static_cast<double>(weights.size()));
  const ColumnRuns runs = column_runs(rules.values, pieces, weights.cols(), density);
  const ScoredMask mask(meter, rules, input.norms, weights);
  std::vector<RowGroup> groups;  // by thread
  for (int t = 0; t < compute.team.size(); ++t) groups.emplace_back(meter, weights.cols());
  std::atomic<std::size_t> next{0};
  Loss loss;
  compute.team.run([&](int thread) {
    RowGroup& group = groups[static_cast<std::size_t>(thread)];
    Grid grid;
    while (true) {
      const std::size_t first = rows.first + kRowGroup * next.fetch_add(1);
      if (first >= rows.last) return;
      group.load(weights, first, std::min(kRowGroup, rows.last - first));
      prune_group(compute, rules, input, runs, mask, first, grid, group);
      if (first == 0 && input.gram != nullptr) {
        // Loading again: what rounding came near to may have been a fit.
        for (std::size_t col = 0; col < group.cols; ++col)
          for (std::size_t row = 0; row < group.n_rows; ++row) group.target(col)[row] = weights.row(row)[col];
        loss = measure_loss(compute, *input.gram, group);
      }
      group.store(weights, first);
    }
  });
  MatrixOutcome outcome{.lost = loss.lost, .total = loss.total};
  for (const float* at = weights.row(rows.first); at < weights.row(rows.last); ++at) outcome.kept += *at != 0.0f;
  return outcome;
}

std::uint64_t prune_matrix_bytes(const MatrixRules& rules, std::size_t rows, std::size_t cols, int n_threads) {
  const bool whole = rules.structure.any();  // the fallback of any method may need them
  return RowGroup::bytes(cols) * static_cast<std::uint64_t>(n_threads) + (whole ? rows * cols * (2 * sizeof(float) + 1) : 0);
}

}  // namespace colonnade::shard
