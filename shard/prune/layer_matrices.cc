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

/// Matrices with the same answer read the same rows.
int input_kind(MatrixRole role) {
  switch (role) {
    case MatrixRole::kKey:
    case MatrixRole::kValue:
    case MatrixRole::kQuery: return 0;
    case MatrixRole::kGate:
    case MatrixRole::kUp: return 1;
    default: return 2 + static_cast<int>(role);
  }
}

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

bool is_pruned(const engine::ModelConfig& config, PathKind kind) {
  return has_neurons(kind) || (kind == PathKind::kAttention && !config.latent.used());
}

std::size_t LayerMatrices::weights() const {
  std::size_t count = 0;
  for (const LayerMatrix& matrix : matrices) count += matrix.rows * matrix.cols;
  return count;
}

LayerMatrices layer_matrices(const SourceModel& model, const std::vector<PathSpec>& paths, int layer) {
  std::map<std::tuple<PathKind, int, MatrixRole>, LayerMatrix> found;  // in an order that follows from the paths alone
  for (std::size_t p = 0; p < paths.size(); ++p) {
    const PathSpec& path = paths[p];
    if (path.layer != layer || !is_pruned(model.config(), path.kind)) continue;
    for (std::size_t m = 0; m < path.matrices.size(); ++m) {
      const MatrixSpec& spec = path.matrices[m];
      LayerMatrix& matrix = found[{path.kind, path.expert, spec.role}];
      matrix.part = model.matrix_part(path, spec.role);
      matrix.role = spec.role;
      matrix.expert = path.expert;
      matrix.pieces.push_back({p, m, model.matrix_window(path, spec)});
    }
  }
  LayerMatrices result;
  std::map<std::tuple<PathKind, int, int>, std::size_t> inputs;
  const bool mixture = model.config().layers[static_cast<std::size_t>(layer)].has_router();
  for (auto& [key, matrix] : found) {
    finish(matrix);
    const auto [kind, expert, role] = key;
    const auto [at, is_new] = inputs.emplace(std::tuple(kind, expert, input_kind(role)), result.inputs.size());
    if (is_new)
      result.inputs.push_back({.cols = matrix.cols, .of_expert = mixture && kind == PathKind::kFeedForward,
                               .of_block = input_kind(role) < 2, .expert = expert});
    matrix.input = at->second;
    result.inputs[matrix.input].matrices.push_back(result.matrices.size());
    result.matrices.push_back(std::move(matrix));
  }
  return result;
}

Result<FloatMatrix> read_layer_matrix(const SourceModel& model, const std::vector<PathSpec>& paths, const LayerMatrix& matrix,
                                      const Compute& compute, MemoryMeter& meter) {
  FloatMatrix out(meter, matrix.rows, matrix.cols);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> error;
  compute.team.run([&](int) {
    std::vector<float> rows;
    for (std::size_t i = next++; i < matrix.pieces.size(); i = next++) {
      const MatrixPiece& piece = matrix.pieces[i];
      const PathSpec& path = paths[piece.path];
      const MatrixSpec& spec = path.matrices[piece.matrix];
      const PathWeights weights = model.weights_of(path);
      rows.resize(std::size_t{engine::kStripRows} * spec.cols);
      for (std::uint32_t r = 0; r < spec.rows; r += engine::kStripRows) {
        const std::uint32_t count = std::min<std::uint32_t>(engine::kStripRows, spec.rows - r);
        Status status = weights.rows(spec, r, count, rows.data());
        for (std::size_t k = 0; status.ok() && k < std::size_t{count} * spec.cols; ++k)
          if (!std::isfinite(rows[k]))
            status = Error{ErrorCode::kCorrupt, text("tensor ", matrix.part.tensor, ": expected finite numbers, found ", rows[k])};
        if (!status.ok()) {
          const std::lock_guard lock(mutex);
          error = status.error();
          next = matrix.pieces.size();
          return;
        }
        for (std::uint32_t k = 0; k < count; ++k)
          std::copy_n(rows.data() + std::size_t{k} * spec.cols, spec.cols,
                      out.row(piece.place.first_row + r + k) + piece.place.first_col);
      }
    }
  });
  if (error) return *error;
  return out;
}

}  // namespace colonnade::shard
