#include "shard/prune/outlier_shares.h"

#include "shard/prune/rates.h"

namespace colonnade::shard {

Result<double> outlier_share(const LayerTask& task, CalibrationBatch& batch, const std::function<void(std::size_t)>& on_tokens) {
  RankGroup& group = task.group;
  LayerSums sums(task, false);
  COLONNADE_TRY(sums.run(batch, true, on_tokens));
  const std::size_t n_matrices = task.matrices.matrices.size();
  const auto rank_of = [&](std::size_t m) { return static_cast<int>(m % static_cast<std::size_t>(group.size())); };
  std::vector<ScoreCount> counts(n_matrices);
  double limit = 0;
  for (const bool counting : {false, true}) {
    const auto look = [&](std::size_t m) -> Status {
      const LayerMatrix& matrix = task.matrices.matrices[m];
      COLONNADE_ASSIGN(const FloatMatrix weights, read_layer_matrix(task.model, matrix, task.compute, task.meter));
      const auto norms = sums.norms(matrix.input);
      counting ? count_outliers(weights, norms, limit, counts[m]) : add_scores(weights, norms, counts[m]);
      return {};
    };
    Status looked;
    for (std::size_t m = 0; m < n_matrices && looked.ok(); ++m)
      if (rank_of(m) == group.rank()) looked = look(m);
    COLONNADE_TRY(group.agree(looked));
    ScoreCount all;
    for (std::size_t m = 0; m < n_matrices; ++m) {
      COLONNADE_TRY(group.pass_value(rank_of(m), group.all(), counts[m]));
      all.sum += counts[m].sum;
      all.n += counts[m].n;
      all.outliers += counts[m].outliers;
    }
    if (all.n == 0) return 0.0;
    limit = kOutlierFactor * all.sum / static_cast<double>(all.n);
    if (counting) return static_cast<double>(all.outliers) / static_cast<double>(all.n);
  }
  return 0.0;
}

}  // namespace colonnade::shard
