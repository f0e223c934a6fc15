// The tensors of multi-head latent attention: which rows of them are whose.
#include "shard/source_model.h"

namespace colonnade::shard {
namespace {

std::uint64_t u(int value) { return static_cast<std::uint64_t>(value); }

/// Of `count` rotated rows, the one that becomes row `row`: a rotation here turns row i with row i + count / 2.
std::uint64_t rotated_row(std::uint64_t row, std::uint64_t count, bool interleaved) {
  return interleaved ? 2 * (row % (count / 2)) + row / (count / 2) : row;
}

}  // namespace

Status SourceModel::find_latent_tensors(int layer) {
  const engine::LatentConfig& latent = config_.latent;
  const auto name = [&](const char* module) { return layer_module(layer, module) + ".weight"; };
  if (latent.query_dim > 0) {
    COLONNADE_TRY(add(name(names_.query_latent), latent.query_dim, config_.dim));
    COLONNADE_TRY(add(name(names_.query_latent_norm), 0, latent.query_dim));
    COLONNADE_TRY(add(name(names_.query_of_latent), config_.n_heads * latent.query_rows(), latent.query_dim));
  } else {
    COLONNADE_TRY(add(name(names_.query), config_.n_heads * latent.query_rows(), config_.dim));
  }
  COLONNADE_TRY(add(name(names_.latent), latent.cached_dim(), config_.dim));
  COLONNADE_TRY(add(name(names_.latent_norm), 0, latent.dim));
  COLONNADE_TRY(add(name(names_.heads_of_latent), config_.n_heads * (latent.plain_dim + latent.value_dim), latent.dim));
  return add(name(names_.output), config_.dim, config_.n_heads * latent.value_dim);
}

Status SourceModel::read_latent_rows(const PathSpec& path, const MatrixSpec& matrix, std::uint32_t first_row,
                                     std::uint32_t n_rows, float* out) const {
  const engine::LatentConfig& latent = config_.latent;
  const std::uint64_t head = u(path.first + matrix.part);
  const char* module = names_.heads_of_latent;
  std::uint64_t base = head * u(latent.plain_dim + latent.value_dim);
  std::uint64_t plain_rows = matrix.rows;  // before those that are rotated
  switch (matrix.role) {
    case MatrixRole::kQueryLatent:
      module = names_.query_latent;
      base = u(path.first);
      break;
    case MatrixRole::kLatent:
      module = names_.latent;
      base = 0;
      first_row += static_cast<std::uint32_t>(path.first);
      plain_rows = u(latent.dim);
      break;
    case MatrixRole::kQuery:
      module = latent.query_dim > 0 ? names_.query_of_latent : names_.query;
      base = head * u(latent.query_rows());
      plain_rows = u(latent.plain_dim);
      break;
    case MatrixRole::kIntoLatent: {
      const std::string name = layer_module(path.layer, module) + ".weight";
      const TensorPart part{.tensor = name, .slice_row = base, .transposed = true};
      return read_matrix_part(tensor(name), part, {first_row, n_rows, 0, matrix.cols}, out, matrix.cols);
    }
    default: base += u(latent.plain_dim); break;  // kOutOfLatent
  }
  const TensorRows& source = tensor(layer_module(path.layer, module) + ".weight");
  for (std::uint64_t i = 0; i < n_rows; ++i) {
    std::uint64_t row = first_row + i;
    if (row >= plain_rows)
      row = plain_rows + rotated_row(row - plain_rows, u(latent.rotary_dim), names_.interleaved_rotation);
    COLONNADE_TRY(source.read({base + row, 1, 0, matrix.cols}, out + i * matrix.cols, matrix.cols));
  }
  return {};
}

}  // namespace colonnade::shard
