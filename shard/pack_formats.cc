#include "shard/pack_formats.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>

#include "engine/base/progress.h"

namespace colonnade::shard {
namespace {

using engine::FormatId;
using engine::kStripRows;

/// Strips of a matrix that are looked at, evenly spread: encoding one in each candidate costs as much as packing three or four.
constexpr std::size_t kSampledStrips = 3;

constexpr std::size_t kMatricesShown = 500;

/// The pieces into which a matrix of the checkpoint was cut.
struct CutMatrix {
  struct Piece {
    std::size_t path, matrix;
  };
  std::vector<Piece> pieces;
};

std::vector<CutMatrix> cut_matrices(const std::vector<PathSpec>& paths) {
  // Order of keys and pieces follows from the paths alone.
  std::map<std::tuple<PathKind, int, int, MatrixRole>, CutMatrix> matrices;
  for (std::size_t p = 0; p < paths.size(); ++p)
    for (std::size_t m = 0; m < paths[p].matrices.size(); ++m)
      matrices[{paths[p].kind, paths[p].layer, paths[p].expert, paths[p].matrices[m].role}].pieces.push_back({p, m});
  std::vector<CutMatrix> all;
  for (auto& entry : matrices) all.push_back(std::move(entry.second));
  return all;
}

/// Some strips of a matrix: those of pieces that are equally wide.
struct Sample {
  std::uint32_t cols = 0;
  std::size_t n_strips = 0;
  std::vector<float> weights;  // (16 * n_strips, cols)

  engine::Zeros zeros() const {
    engine::ZeroCount count;
    count.add(weights.data(), weights.size() / cols, cols);
    return count.zeros();
  }
};

Result<Sample> read_sample(const SourceModel& model, const std::vector<PathSpec>& paths, const CutMatrix& cut) {
  Sample sample;
  sample.cols = paths[cut.pieces.front().path].matrices[cut.pieces.front().matrix].cols;
  for (std::size_t i = 0; i < kSampledStrips; ++i) {
    const CutMatrix::Piece piece = cut.pieces[(2 * i + 1) * cut.pieces.size() / (2 * kSampledStrips)];
    const PathSpec& path = paths[piece.path];
    const MatrixSpec& m = path.matrices[piece.matrix];
    if (m.cols != sample.cols) continue;
    // Whole strips only, unless the matrix has none.
    const std::uint32_t n_rows = std::min<std::uint32_t>(m.rows, kStripRows);
    const auto strip = static_cast<std::uint32_t>((2 * i + 1) * (m.rows / n_rows) / (2 * kSampledStrips));
    const std::size_t begin = sample.weights.size();
    sample.weights.resize(begin + std::size_t{kStripRows} * m.cols);
    COLONNADE_TRY(model.weights_of(path).rows(m, strip * kStripRows, n_rows, sample.weights.data() + begin));
    ++sample.n_strips;
  }
  // Packing refuses these, by their place.
  for (float& weight : sample.weights)
    if (!std::isfinite(weight)) weight = 1.0f;
  return sample;
}

/// Sets formats and expected sizes of a matrix's pieces.
Status choose_for(const SourceModel& model, const FormatRules& rules, const CutMatrix& cut, std::vector<PathSpec>& paths) {
  const PathSpec& first = paths[cut.pieces.front().path];
  const bool is_head = first.kind == PathKind::kHead || (first.kind == PathKind::kEmbedding && model.config().tied_embeddings);
  // Rows of another embedding are looked up, not multiplied.
  if (first.kind == PathKind::kEmbedding && !is_head) return {};
  COLONNADE_ASSIGN(const Sample sample, read_sample(model, paths, cut));
  const std::vector<FormatId> candidates = candidate_formats(rules, is_head);
  const std::vector<double> sampled = sampled_strip_bytes(candidates, sample.weights.data(), sample.n_strips, sample.cols);
  const MatrixSpec& m = first.matrices[cut.pieces.front().matrix];
  const FormatId chosen = compare_formats(rules, candidates, m.rows, m.cols, sampled).front().format;
  const engine::Zeros zeros = sample.zeros();
  const auto at = static_cast<std::size_t>(std::find(candidates.begin(), candidates.end(), chosen) - candidates.begin());
  for (const CutMatrix::Piece& piece : cut.pieces) {
    MatrixSpec& matrix = paths[piece.path].matrices[piece.matrix];
    matrix.format = chosen;
    matrix.zeros = zeros;
    const double bytes = matrix.cols == sample.cols ? sampled[at] : engine::find_format(chosen)->expected_strip_bytes(matrix.cols, zeros);
    matrix.bytes = static_cast<std::uint64_t>(std::llround(bytes * matrix.n_strips()));
  }
  return {};
}

/// Whether down matrices would be stored by index-permute if their paths were wide: asked of one in the middle of the model.
Result<bool> suits_wide_groups(const SourceModel& model, const FormatRules& rules, const engine::ModelConfig& wide) {
  std::vector<PathSpec> paths = enumerate_paths(wide, format_choice(rules.values));
  std::erase_if(paths, [&](const PathSpec& path) {
    return path.kind != PathKind::kFeedForward || path.layer != wide.n_layers / 2 || path.expert != 0;
  });
  CutMatrix down;  // the last of its path's matrices
  for (std::size_t p = 0; p < paths.size(); ++p) down.pieces.push_back({p, paths[p].matrices.size() - 1});
  COLONNADE_TRY(choose_for(model, rules, down, paths));
  return engine::find_format(paths.front().matrices.back().format)->activations() == engine::ActivationKind::kWide;
}

}  // namespace

Result<ChosenFormats> choose_formats(const SourceModel& model, FormatRules rules, int output_heads, int n_threads) {
  engine::ModelConfig config = model.config();
  rules.prompts_only = config.encoder;
  config.output_heads = output_heads;
  if (const int wide = wide_neuron_group(config); wide > 0) {
    config.neuron_group = wide;
    COLONNADE_ASSIGN(const bool suits, suits_wide_groups(model, rules, config));
    if (!suits) config.neuron_group = model.config().neuron_group;
  }
  std::vector<PathSpec> paths = enumerate_paths(config, format_choice(rules.values));
  const std::vector<CutMatrix> matrices = cut_matrices(paths);
  std::optional<Progress> progress;
  // A glance at a small model is over before anybody wonders.
  if (matrices.size() > kMatricesShown) progress.emplace("choosing formats", matrices.size(), ProgressUnit::kItems);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<std::pair<std::size_t, Error>> first_error;  // of the first matrix that has one
  const auto work = [&] {
    for (std::size_t i = next++; i < matrices.size(); i = next++) {
      const Status status = choose_for(model, rules, matrices[i], paths);
      if (progress) progress->add(1);
      if (status.ok()) continue;
      const std::lock_guard lock(mutex);
      if (!first_error || i < first_error->first) first_error.emplace(i, status.error());
      next = matrices.size();
    }
  };
  std::vector<std::thread> threads;
  for (int t = 1; t < n_threads; ++t) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (first_error) return first_error->second;
  for (PathSpec& path : paths) {
    path.bytes = blob_header_bytes(path);
    for (const MatrixSpec& m : path.matrices) path.bytes += m.bytes;
  }
  return ChosenFormats{config.neuron_group, std::move(paths)};
}

}  // namespace colonnade::shard
