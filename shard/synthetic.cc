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

using engine::kStripRows;

/// Uniform in [-1, 1), a function of its arguments (splitmix64).
float random_value(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t x = (seed * 0x9E3779B97F4A7C15u) + index * 0xD1B54A32D192ED03u + 1;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return static_cast<float>(static_cast<std::int64_t>(x ^ (x >> 31)) >> 40) / static_cast<float>(1 << 23);
}

/// Some random strips of every shape that a model has. Memory is filled with copies of them: as fast as it can be
/// written, whatever the format, and for whoever reads it no different from other random bytes.
class RandomStrips {
 public:
  static constexpr std::uint32_t kVariants = 8;
  using Strips = std::array<std::vector<std::byte>, kVariants>;

  explicit RandomStrips(std::span<const PathSpec> paths) {
    for (const PathSpec& path : paths) {
      for (const MatrixSpec& m : path.matrices) {
        add(m, kStripRows);
        if (m.rows % kStripRows != 0) add(m, static_cast<int>(m.rows % kStripRows));
      }
    }
  }

  /// The variants of a whole strip of `m`, or of its last one with fewer rows.
  const Strips& of(const MatrixSpec& m, bool incomplete) const {
    return strips_.at(key(m, incomplete ? static_cast<int>(m.rows % kStripRows) : kStripRows));
  }

 private:
  using Key = std::tuple<engine::FormatId, std::uint32_t, int>;  // format, columns, rows
  static Key key(const MatrixSpec& m, int n_rows) { return {m.format, m.cols, n_rows}; }

  void add(const MatrixSpec& m, int n_rows) {
    const auto [place, is_new] = strips_.try_emplace(key(m, n_rows));
    if (!is_new) return;
    const engine::Format* format = engine::find_format(m.format);
    COLONNADE_CHECK(format != nullptr, "a path is in a format that is not registered");
    // A uniform number in [-1, 1) has a deviation of 1 / sqrt(3).
    const float scale = std::sqrt(3.0f / static_cast<float>(m.cols));
    std::vector<float> weights(static_cast<std::size_t>(n_rows) * m.cols);
    for (std::uint32_t v = 0; v < kVariants; ++v) {
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = scale * random_value(m.cols * kVariants + v, i);
      format->encode_strip(weights.data(), m.cols, n_rows, m.cols, place->second[v]);
    }
  }

  std::map<Key, Strips> strips_;
};

bool is_incomplete(const MatrixSpec& m, std::uint32_t strip) {
  return strip + 1 == m.n_strips() && m.rows % kStripRows != 0;
}

void set_exact_bytes(PathSpec& path, const RandomStrips& strips) {
  path.bytes = blob_header_bytes(path);
  for (MatrixSpec& m : path.matrices) {
    m.bytes = 0;
    const auto& whole = strips.of(m, false);
    for (std::uint32_t s = 0; s < m.n_strips(); ++s)
      m.bytes += (is_incomplete(m, s) ? strips.of(m, true) : whole)[s % RandomStrips::kVariants].size();
    path.bytes += m.bytes;
  }
  path.part_checksums.assign(blob_parts(path).size(), 0);
}

void fill_vector(const VectorSpec& vector, std::uint64_t seed, int dim, float* out) {
  switch (vector.role) {
    case VectorRole::kRouter: {
      const float scale = std::sqrt(3.0f / static_cast<float>(dim));
      for (std::uint32_t i = 0; i < vector.count; ++i) out[i] = scale * random_value(seed, i);
      break;
    }
    case VectorRole::kOutputBias:
    case VectorRole::kQueryBias:
    case VectorRole::kKeyBias:
    case VectorRole::kValueBias: std::fill_n(out, vector.count, 0.0f); break;
    default: std::fill_n(out, vector.count, 1.0f);
  }
}

/// `heads` is where blob offset 0 would be for the strips of query heads.
void fill_path(const PathSpec& path, const Assignment& held, const RandomStrips& strips, int dim, std::byte* base,
               std::byte* heads) {
  for (std::size_t v = 0; v < path.vectors.size(); ++v) {
    const auto seed = static_cast<std::uint64_t>(path.layer) * 64 + static_cast<std::uint64_t>(path.vectors[v].role);
    fill_vector(path.vectors[v], seed, dim, reinterpret_cast<float*>(base + vector_offset(path, v)));
  }
  std::vector<std::uint64_t*> table;
  for (std::size_t m = 0; m < path.matrices.size(); ++m)
    table.push_back(reinterpret_cast<std::uint64_t*>(base + table_offset(path, m)));
  std::uint64_t offset = blob_header_bytes(path);
  for (const auto [m, s] : execution_order(path)) {
    const MatrixSpec& matrix = path.matrices[m];
    const auto& strip = strips.of(matrix, is_incomplete(matrix, s))[s % RandomStrips::kVariants];
    table[m][s] = offset;
    const bool of_head = matrix.role == MatrixRole::kQuery || matrix.role == MatrixRole::kOutput;
    const bool is_held = !of_head || (matrix.part >= held.first_head && matrix.part < held.first_head + held.n_heads);
    if (is_held) std::memcpy((of_head ? heads : base) + offset, strip.data(), strip.size());
    offset += strip.size();
    table[m][s + 1] = offset;
  }
  COLONNADE_CHECK(offset == path.bytes, "a synthetic path has other bytes than its manifest says");
}

Result<engine::ModelConfig> shape_config(std::string_view shape) {
  std::error_code ignored;
  if (std::filesystem::exists(shape, ignored)) return read_model_config(shape);
  return known_shape(shape);
}

}  // namespace

Result<Manifest> synthetic_manifest(std::string_view shape, const FormatChoice& formats, int max_layers) {
  Manifest manifest;
  COLONNADE_ASSIGN(manifest.config, shape_config(shape));
  manifest.name = "synthetic " + std::string(shape);
  if (max_layers > 0 && max_layers < manifest.config.n_layers) {
    manifest.config.n_layers = max_layers;
    manifest.config.layers.resize(static_cast<std::size_t>(max_layers));
  }
  manifest.paths = enumerate_paths(manifest.config, formats);
  const RandomStrips strips(manifest.paths);
  for (PathSpec& path : manifest.paths) set_exact_bytes(path, strips);
  return manifest;
}

Result<engine::HugeMemory> synthetic_slice(const Manifest& manifest, const RankPlan& rank, const SliceLayout& layout,
                                           int n_threads) {
  COLONNADE_ASSIGN(engine::HugeMemory memory, engine::HugeMemory::allocate(layout.bytes, -1));
  const RandomStrips strips(manifest.paths);
  std::atomic<std::size_t> next{0};
  const auto fill = [&] {
    for (std::size_t i = next++; i < rank.paths.size(); i = next++) {
      std::byte* const base = memory.data() + layout.path_base[i];
      fill_path(manifest.paths[rank.paths[i].path], rank.paths[i], strips, manifest.config.dim, base,
                memory.data() + layout.head_base[i]);
    }
  };
  std::vector<std::thread> threads;
  for (int t = 1; t < n_threads; ++t) threads.emplace_back(fill);
  fill();
  for (std::thread& t : threads) t.join();
  return memory;
}

}  // namespace colonnade::shard
