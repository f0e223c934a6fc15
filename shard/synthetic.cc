#include "shard/synthetic.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <tuple>

#include "engine/base/check.h"
#include "shard/hf_config.h"
#include "shard/known_shapes.h"

namespace colonnade::shard {
namespace {

using engine::FormatId;
using engine::kStripRows;

constexpr std::uint32_t kVariants = 8;
using Variants = std::array<std::vector<std::byte>, kVariants>;

/// Which matrices are pruned.
bool is_pruned(const PathSpec& path) { return is_projection(path.kind); }

bool is_head(const PathSpec& path, const engine::ModelConfig& config) {
  return path.kind == PathKind::kHead || (path.kind == PathKind::kEmbedding && config.tied_embeddings);
}

bool is_incomplete(const MatrixSpec& m, std::uint32_t strip) {
  return strip + 1 == m.n_strips() && m.rows % kStripRows != 0;
}

/// A uniform number in ±bound has a deviation of bound / sqrt(3): a row's weights have a length of 1.
float bound_of(std::uint32_t cols, double density) {
  return static_cast<float>(std::sqrt(3.0 / std::max(1.0, cols * density)));
}

}  // namespace

/// Some random strips of every shape that a model has. Memory is filled with copies of them: as fast as it can be
/// written, whatever the format, and for whoever reads it no different from other random bytes.
class SyntheticModel::Strips {
 public:
  Strips(std::span<PathSpec> paths, const engine::ModelConfig& config, const SyntheticOptions& options) : options_(options) {
    for (PathSpec& path : paths) {
      for (MatrixSpec& m : path.matrices) {
        m.zeros = sparsity_of(path).zeros();
        if (is_pruned(path) || is_head(path, config)) m.format = chosen_format(path, config, m);
        add(path, m, kStripRows);
        if (m.rows % kStripRows != 0) add(path, m, static_cast<int>(m.rows % kStripRows));
      }
      set_exact_bytes(path);
    }
  }

  /// Variant of strip `s` of matrix `m`.
  std::span<const std::byte> of(const PathSpec& path, const MatrixSpec& m, std::uint32_t s) const {
    const int n_rows = is_incomplete(m, s) ? static_cast<int>(m.rows % kStripRows) : kStripRows;
    return strips_.at(key(path, m, n_rows))[s % kVariants];
  }

 private:
  using Key = std::tuple<FormatId, std::uint32_t, int, bool>;  // format, columns, rows, pruned
  static Key key(const PathSpec& path, const MatrixSpec& m, int n_rows) { return {m.format, m.cols, n_rows, is_pruned(path)}; }

  engine::Sparsity sparsity_of(const PathSpec& path) const { return is_pruned(path) ? options_.sparsity : engine::Sparsity{}; }

  std::vector<float> random_strip(const PathSpec& path, const MatrixSpec& m, int n_rows, std::uint32_t variant) const {
    const engine::Sparsity sparsity = sparsity_of(path);
    std::vector<float> weights(static_cast<std::size_t>(n_rows) * m.cols);
    engine::fill_random_weights(sparsity, m.cols * kVariants + variant, bound_of(m.cols, sparsity.density),
                                static_cast<std::size_t>(n_rows), m.cols, weights.data());
    return weights;
  }

  FormatId chosen_format(const PathSpec& path, const engine::ModelConfig& config, const MatrixSpec& m) {
    const auto [place, is_new] = chosen_.try_emplace({m.cols, is_pruned(path)}, m.format);
    if (!is_new) return place->second;
    const std::vector<FormatId> candidates = candidate_formats(options_.rules, is_head(path, config));
    if (candidates.size() > 1) {
      const std::vector<float> sample = random_strip(path, m, kStripRows, 0);
      place->second = compare_formats(options_.rules, candidates, m.rows, m.cols,
                                      sampled_strip_bytes(candidates, sample.data(), 1, m.cols)).front().format;
    } else {
      place->second = candidates.front();
    }
    return place->second;
  }

  void add(const PathSpec& path, const MatrixSpec& m, int n_rows) {
    const auto [place, is_new] = strips_.try_emplace(key(path, m, n_rows));
    if (!is_new) return;
    for (std::uint32_t v = 0; v < kVariants; ++v)
      engine::find_format(m.format)->encode_strip(random_strip(path, m, n_rows, v).data(), m.cols, n_rows, m.cols, place->second[v]);
  }

  void set_exact_bytes(PathSpec& path) const {
    path.bytes = blob_header_bytes(path);
    for (MatrixSpec& m : path.matrices) m.bytes = 0;
    const std::vector<StripRef> order = execution_order(path);
    for (std::size_t i = 0; i < order.size(); ++i) {
      MatrixSpec& m = path.matrices[order[i].matrix];
      const std::uint64_t end = next_strip_offset(order, i, path.bytes + of(path, m, order[i].strip).size());
      m.bytes += end - path.bytes;
      path.bytes = end;
    }
    path.part_checksums.assign(blob_parts(path).size(), 0);
  }

  SyntheticOptions options_;
  std::map<std::pair<std::uint32_t, bool>, FormatId> chosen_;  // by columns and whether pruned
  std::map<Key, Variants> strips_;
};

namespace {

void fill_vector(const VectorSpec& vector, std::uint64_t seed, int dim, float* out) {
  switch (vector.role) {
    case VectorRole::kRouter:
      engine::fill_random_weights({}, seed, bound_of(static_cast<std::uint32_t>(dim), 1.0), 1, vector.count, out);
      break;
    case VectorRole::kRouterBias:
    case VectorRole::kSharedGate:
    case VectorRole::kOutputBias:
    case VectorRole::kQueryBias:
    case VectorRole::kKeyBias:
    case VectorRole::kValueBias: std::fill_n(out, vector.count, 0.0f); break;
    default: std::fill_n(out, vector.count, 1.0f);
  }
}

/// `heads` is where blob offset 0 would be for the strips of query heads.
template <typename Strips>
void fill_path(const PathSpec& path, const Assignment& held, const Strips& strips, int dim, std::byte* base,
               std::byte* heads) {
  for (std::size_t v = 0; v < path.vectors.size(); ++v) {
    const auto seed = static_cast<std::uint64_t>(path.layer) * 64 + static_cast<std::uint64_t>(path.vectors[v].role);
    fill_vector(path.vectors[v], seed, dim, reinterpret_cast<float*>(base + vector_offset(path, v)));
  }
  std::vector<std::uint64_t*> table;
  for (std::size_t m = 0; m < path.matrices.size(); ++m)
    table.push_back(reinterpret_cast<std::uint64_t*>(base + table_offset(path, m)));
  std::uint64_t offset = blob_header_bytes(path);
  const std::vector<StripRef> order = execution_order(path);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto [m, s] = order[i];
    const MatrixSpec& matrix = path.matrices[m];
    const std::span<const std::byte> strip = strips.of(path, matrix, s);
    table[m][s] = offset;
    const bool of_head = is_of_query_head(matrix.role);
    const bool is_held = !of_head || (matrix.part >= held.first_head && matrix.part < held.first_head + held.n_heads);
    if (is_held) std::memcpy((of_head ? heads : base) + offset, strip.data(), strip.size());
    offset = next_strip_offset(order, i, offset + strip.size());
    table[m][s + 1] = offset;
  }
  COLONNADE_CHECK(offset == path.bytes, "a synthetic path has other bytes than its manifest says");
}

/// What pack asks of a model's weights, asked of random ones.
bool suits_wide_groups(const SyntheticOptions& options, int neurons) {
  const auto cols = static_cast<std::uint32_t>(neurons);
  const std::vector<FormatId> candidates = candidate_formats(options.rules, false);
  std::vector<float> strip(std::size_t{kStripRows} * cols);
  engine::fill_random_weights(options.sparsity, 1, bound_of(cols, options.sparsity.density), kStripRows, cols, strip.data());
  const FormatId best = compare_formats(options.rules, candidates, kStripRows, cols,
                                        sampled_strip_bytes(candidates, strip.data(), 1, cols)).front().format;
  return engine::find_format(best)->activations() == engine::ActivationKind::kWide;
}

Result<engine::ModelConfig> shape_config(std::string_view shape) {
  std::error_code ignored;
  if (std::filesystem::exists(shape, ignored)) return read_model_config(shape);
  return known_shape(shape);
}

}  // namespace

Result<SyntheticModel> SyntheticModel::make(std::string_view shape, const SyntheticOptions& asked) {
  SyntheticModel model;
  Manifest& manifest = model.manifest_;
  COLONNADE_ASSIGN(manifest.config, shape_config(shape));
  SyntheticOptions options = asked;
  options.rules.prompts_only = manifest.config.encoder;
  manifest.name = "synthetic " + std::string(shape);
  if (options.max_layers > 0 && options.max_layers < manifest.config.n_layers) {
    manifest.config.n_layers = options.max_layers;
    manifest.config.layers.resize(static_cast<std::size_t>(options.max_layers));
  }
  if (const int wide = wide_neuron_group(manifest.config); wide > 0 && suits_wide_groups(options, wide))
    manifest.config.neuron_group = wide;
  manifest.config.output_heads = wide_output_heads(manifest.config);
  manifest.paths = enumerate_paths(manifest.config, format_choice(options.rules.values));
  model.strips_ = std::make_shared<const Strips>(manifest.paths, manifest.config, options);
  return model;
}

Result<engine::HugeMemory> SyntheticModel::slice(const RankPlan& rank, const SliceLayout& layout, int n_threads) const {
  COLONNADE_ASSIGN(engine::HugeMemory memory, engine::HugeMemory::allocate(layout.bytes, -1));
  std::atomic<std::size_t> next{0};
  const auto fill = [&] {
    for (std::size_t i = next++; i < rank.paths.size(); i = next++) {
      fill_path(manifest_.paths[rank.paths[i].path], rank.paths[i], *strips_, manifest_.config.dim,
                memory.data() + layout.path_base[i], memory.data() + layout.head_base[i]);
    }
  };
  std::vector<std::thread> threads;
  for (int t = 1; t < n_threads; ++t) threads.emplace_back(fill);
  fill();
  for (std::thread& t : threads) t.join();
  return memory;
}

}  // namespace colonnade::shard
