#include "tests/shard/prune/model_weights.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "engine/formats/bf16.h"
#include "shard/prune/layer_matrices.h"
#include "shard/source_model.h"

namespace colonnade::tests {

using namespace colonnade::shard;

std::vector<float> all_weights(const std::filesystem::path& folder, double* zeros, bool bf16_matrices) {
  const auto model = SourceModel::open(folder);
  if (!model.ok()) FAIL(model.error().message);
  std::vector<float> all;
  double n_zeros = 0, n_pruned = 0;
  const auto paths = enumerate_paths(model->config(), format_choice(engine::FormatId::kBf16));
  for (const PathSpec& path : paths) {
    const PathWeights weights = model->weights_of(path);
    for (const MatrixSpec& m : path.matrices) {
      for (std::uint32_t r = 0; r < m.rows; r += 16) {
        const std::uint32_t count = std::min<std::uint32_t>(16, m.rows - r);
        std::vector<float> rows(std::size_t{count} * m.cols);
        REQUIRE(weights.rows(m, r, count, rows.data()).ok());
        if (is_projection(path.kind)) {
          n_pruned += static_cast<double>(rows.size());
          for (float& weight : rows) {
            n_zeros += weight == 0;
            if (bf16_matrices && is_pruned(path.kind)) weight = engine::bf16_to_f32(engine::f32_to_bf16(weight));
          }
        }
        all.insert(all.end(), rows.begin(), rows.end());
      }
    }
    for (const VectorSpec& v : path.vectors) {
      std::vector<float> numbers(v.count);
      REQUIRE(weights.vector(v, numbers.data()).ok());
      all.insert(all.end(), numbers.begin(), numbers.end());
    }
  }
  if (zeros != nullptr) *zeros = n_zeros / n_pruned;
  return all;
}

}  // namespace colonnade::tests
