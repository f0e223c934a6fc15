#include "shard/prune/layer_matrices.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

/// The normalised input of a block.
constexpr int kBlockInput = 0;

/// Matrices of a block with the same answer read the same rows.
int input_kind(const engine::ModelConfig& config, MatrixRole role) {
  switch (role) {
    case MatrixRole::kQuery: return config.latent.query_dim > 0 ? static_cast<int>(role) : kBlockInput;
    case MatrixRole::kKey:
    case MatrixRole::kValue:
    case MatrixRole::kQueryLatent:
    case MatrixRole::kLatent:
    case MatrixRole::kGate:
    case MatrixRole::kUp: return kBlockInput;
    case MatrixRole::kIntoLatent:
    case MatrixRole::kOutOfLatent: return static_cast<int>(MatrixRole::kLatent);
    default: return static_cast<int>(role);
  }
}

/// Projections to latents are a part of attention.
PathKind block_of(PathKind kind) { return kind == PathKind::kLatent ? PathKind::kAttention : kind; }

/// What makes keys of latents lies transposed in the packed model, so its heads are matrices by themselves; so are their values.
bool is_of_one_head(MatrixRole role) { return role == MatrixRole::kIntoLatent || role == MatrixRole::kOutOfLatent; }

void finish(LayerMatrix& matrix) {
  for (const MatrixPiece& piece : matrix.pieces) {
    matrix.rows = std::max<std::size_t>(matrix.rows, piece.place.first_row + piece.place.n_rows);
    matrix.cols = std::max<std::size_t>(matrix.cols, piece.place.first_col + piece.place.n_cols);
    matrix.first_columns.push_back(piece.place.first_col);
  }
  auto& columns = matrix.first_columns;
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
}

}  // namespace

std::size_t LayerMatrices::weights() const {
  std::size_t count = 0;
  for (const LayerMatrix& matrix : matrices) count += matrix.rows * matrix.cols;
  return count;
}

LayerMatrices layer_matrices(const SourceModel& model, const std::vector<PathSpec>& paths, int layer) {
  std::map<std::tuple<PathKind, int, MatrixRole, int>, LayerMatrix> found;  // in an order that follows from the paths alone
  for (std::size_t p = 0; p < paths.size(); ++p) {
    const PathSpec& path = paths[p];
    if (path.layer != layer || !is_pruned(path.kind)) continue;
    for (std::size_t m = 0; m < path.matrices.size(); ++m) {
      const MatrixSpec& spec = path.matrices[m];
      LayerMatrix& matrix = found[{block_of(path.kind), path.expert, spec.role, is_of_one_head(spec.role) ? path.first + spec.part : 0}];
      matrix.part = model.matrix_part(path, spec);
      matrix.role = spec.role;
      matrix.expert = path.expert;
      matrix.rounded = spec.role != MatrixRole::kIntoLatent;
      matrix.pieces.push_back({p, m, model.matrix_window(path, spec)});
    }
  }
  LayerMatrices result;
  std::map<std::tuple<PathKind, int, int>, std::size_t> inputs;
  const bool mixture = model.config().layers[static_cast<std::size_t>(layer)].has_router();
  for (auto& [key, matrix] : found) {
    finish(matrix);
    const PathKind block = std::get<0>(key);
    const int kind = input_kind(model.config(), matrix.role);
    const auto [at, is_new] = inputs.emplace(std::tuple(block, matrix.expert, kind), result.inputs.size());
    if (is_new)
      result.inputs.push_back({.cols = matrix.cols, .of_expert = mixture && block == PathKind::kFeedForward,
                               .of_block = kind == kBlockInput, .expert = matrix.expert});
    matrix.input = at->second;
    result.inputs[matrix.input].matrices.push_back(result.matrices.size());
    result.matrices.push_back(std::move(matrix));
  }
  return result;
}

Result<FloatMatrix> read_layer_matrix(const SourceModel& model, const LayerMatrix& matrix, const Compute& compute, MemoryMeter& meter) {
  FloatMatrix out(meter, matrix.rows, matrix.cols);
  const TensorRows& tensor = model.tensor(matrix.part.tensor);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> error;
  compute.team.run([&](int) {
    constexpr std::size_t kRows = 64;  // of transposed tensors whole cache lines
    for (std::size_t first = kRows * next++; first < matrix.rows; first = kRows * next++) {
      const std::size_t count = std::min(kRows, matrix.rows - first);
      float* const rows = out.row(first);
      Status status = read_matrix_part(tensor, matrix.part, {first, count, 0, matrix.cols}, rows, matrix.cols);
      for (std::size_t k = 0; status.ok() && k < count * matrix.cols; ++k)
        if (!std::isfinite(rows[k]))
          status = Error{ErrorCode::kCorrupt, text("tensor ", matrix.part.tensor, ": expected finite numbers, found ", rows[k])};
      if (status.ok()) continue;
      const std::lock_guard lock(mutex);
      error = status.error();
      next = matrix.rows;
      return;
    }
  });
  if (error) return *error;
  return out;
}

}  // namespace colonnade::shard
