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

bool SourceModel::is_latent(const PathSpec& path, MatrixRole role) const {
  return path.kind == PathKind::kLatent || (config_.latent.used() && path.kind == PathKind::kAttention && role != MatrixRole::kOutput);
}

TensorPart SourceModel::latent_part(const PathSpec& path, const MatrixSpec& matrix) const {
  const engine::LatentConfig& latent = config_.latent;
  const std::uint64_t of_head = u(path.first + matrix.part) * u(latent.plain_dim + latent.value_dim);
  const auto named = [&](const char* module) { return layer_module(path.layer, module) + ".weight"; };
  switch (matrix.role) {
    case MatrixRole::kQueryLatent: return {.tensor = named(names_.query_latent)};
    case MatrixRole::kLatent: return {.tensor = named(names_.latent)};
    case MatrixRole::kQuery: return {.tensor = named(latent.query_dim > 0 ? names_.query_of_latent : names_.query)};
    case MatrixRole::kIntoLatent: return {.tensor = named(names_.heads_of_latent), .slice_row = of_head};
    default: return {.tensor = named(names_.heads_of_latent), .slice_row = of_head + u(latent.plain_dim)};  // kOutOfLatent
  }
}

Window SourceModel::latent_window(const PathSpec& path, const MatrixSpec& matrix) const {
  const engine::LatentConfig& latent = config_.latent;
  switch (matrix.role) {
    case MatrixRole::kQuery: return {u(path.first + matrix.part) * u(latent.query_rows()), matrix.rows, 0, matrix.cols};
    case MatrixRole::kIntoLatent: return {0, u(latent.plain_dim), 0, u(latent.dim)};
    case MatrixRole::kOutOfLatent: return {0, matrix.rows, 0, matrix.cols};
    default: return {u(path.first), matrix.rows, 0, matrix.cols};
  }
}

Status SourceModel::read_latent_rows(const TensorRows& source, const PathSpec& path, const MatrixSpec& matrix, std::uint32_t first_row,
                                     std::uint32_t n_rows, float* out) const {
  const engine::LatentConfig& latent = config_.latent;
  TensorPart part = latent_part(path, matrix);
  if (matrix.role == MatrixRole::kIntoLatent) {
    part.transposed = true;
    return read_matrix_part(source, part, {first_row, n_rows, 0, matrix.cols}, out, matrix.cols);
  }
  std::uint64_t base = part.slice_row + latent_window(path, matrix).first_row;
  std::uint64_t plain_rows = matrix.rows;  // before those that are rotated
  if (matrix.role == MatrixRole::kQuery) plain_rows = u(latent.plain_dim);
  if (matrix.role == MatrixRole::kLatent) {
    first_row += static_cast<std::uint32_t>(base);
    base = 0;
    plain_rows = u(latent.dim);
  }
  for (std::uint64_t i = 0; i < n_rows; ++i) {
    std::uint64_t row = first_row + i;
    if (row >= plain_rows)
      row = plain_rows + rotated_row(row - plain_rows, u(latent.rotary_dim), names_.interleaved_rotation);
    COLONNADE_TRY(source.read({base + row, 1, 0, matrix.cols}, out + i * matrix.cols, matrix.cols));
  }
  return {};
}

}  // namespace colonnade::shard
