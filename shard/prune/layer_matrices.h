// The matrices of a layer as they are pruned: whole, put together from the pieces that paths have of them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "shard/paths.h"
#include "shard/prune/compute.h"
#include "shard/source_model.h"

namespace colonnade::shard {

/// Matrix `matrix` of path `path` of the model's list, and where it lies in the whole.
struct MatrixPiece {
  std::size_t path = 0;
  std::size_t matrix = 0;
  Window place = {};
};

struct LayerMatrix {
  TensorPart part = {};  // of a tensor of the source
  MatrixRole role = MatrixRole::kKey;
  int expert = 0;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::vector<MatrixPiece> pieces = {};
  bool rounded = true;  // to the values that are asked for: packing has scales for runs of its columns
  std::size_t input = 0;                       // index into LayerMatrices::inputs
  std::vector<std::size_t> first_columns = {};  // where pieces begin, ascending
};

/// What one or several matrices of a layer are multiplied with.
struct LayerInput {
  std::size_t cols = 0;
  bool of_expert = false;   // only the tokens of one
  bool of_block = false;    // the normalised input of a block, the same numbers for all experts; else made from them
  int expert = 0;
  std::vector<std::size_t> matrices = {};
};

struct LayerMatrices {
  std::vector<LayerMatrix> matrices;
  std::vector<LayerInput> inputs;

  std::size_t weights() const;
};

/// Whether the matrices of such paths are pruned: attention and feed-forward. Norms, router, embedding and head are not.
constexpr bool is_pruned(PathKind kind) { return is_projection(kind); }

/// The matrices of `layer` that are pruned. `paths` is the model's list.
LayerMatrices layer_matrices(const SourceModel& model, const std::vector<PathSpec>& paths, int layer);

/// Reads a matrix. kCorrupt for a number that is not finite, and what reading says.
Result<FloatMatrix> read_layer_matrix(const SourceModel& model, const LayerMatrix& matrix, const Compute& compute, MemoryMeter& meter);

}  // namespace colonnade::shard
