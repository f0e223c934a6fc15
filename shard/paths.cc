#include "shard/paths.h"

#include <algorithm>
#include <cmath>

#include "engine/base/check.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::shard {
namespace {

using engine::FormatId;

int count_groups(int total, int least = kGroupRows) { return std::max(1, total / least); }

MatrixSpec matrix(MatrixRole role, int part, int rows, int cols, FormatId format) {
  const engine::Format* f = engine::find_format(format);
  COLONNADE_CHECK(f != nullptr, "enumerate_paths was asked for a format that is not registered");
  MatrixSpec spec{.role = role,
                  .part = part,
                  .rows = static_cast<std::uint32_t>(rows),
                  .cols = static_cast<std::uint32_t>(cols),
                  .format = format};
  const double strip_bytes = f->expected_strip_bytes(spec.cols, spec.zeros);
  spec.bytes = static_cast<std::uint64_t>(std::llround(strip_bytes * spec.n_strips()));
  return spec;
}

VectorSpec vector(VectorRole role, int count, int part = 0) {
  return {.role = role, .part = part, .count = static_cast<std::uint32_t>(count)};
}

void add(std::vector<PathSpec>& paths, PathSpec path) {
  path.bytes = blob_header_bytes(path);
  for (const MatrixSpec& m : path.matrices) path.bytes += m.bytes;
  paths.push_back(std::move(path));
}

void add_vocabulary(std::vector<PathSpec>& paths, PathKind kind, int layer, const engine::ModelConfig& config,
                    FormatId format) {
  int index = 0;
  for (const Group& group : split_groups(config.vocab_size)) {
    PathSpec path{.kind = kind, .layer = layer, .index = index++, .first = group.first, .count = group.count};
    path.matrices = {matrix(MatrixRole::kVocabulary, 0, group.count, config.dim, format)};
    add(paths, std::move(path));
  }
}

PathSpec replicated(const engine::ModelConfig& config, int layer) {
  const engine::LayerConfig& l = config.layers[static_cast<std::size_t>(layer)];
  PathSpec path{.kind = PathKind::kReplicated, .layer = layer};
  path.vectors = {vector(VectorRole::kAttentionNorm, config.dim), vector(VectorRole::kFeedForwardNorm, config.dim)};
  if (config.qk_norm) {
    path.vectors.push_back(vector(VectorRole::kQueryNorm, config.query_norm_dim()));
    path.vectors.push_back(vector(VectorRole::kKeyNorm, config.key_norm_dim()));
  }
  if (config.output_bias) path.vectors.push_back(vector(VectorRole::kOutputBias, config.dim));
  if (config.latent.query_dim > 0) path.vectors.push_back(vector(VectorRole::kQueryLatentNorm, config.latent.query_dim));
  if (config.latent.used()) path.vectors.push_back(vector(VectorRole::kLatentNorm, config.latent.dim));
  if (l.has_router()) {
    path.vectors.push_back(vector(VectorRole::kRouter, l.n_experts * config.dim));
    if (config.router.logit_bias) path.vectors.push_back(vector(VectorRole::kRouterLogitBias, l.n_experts));
    if (config.router.correction_bias) path.vectors.push_back(vector(VectorRole::kRouterBias, l.n_experts));
  }
  if (l.shared_gate) path.vectors.push_back(vector(VectorRole::kSharedGate, config.dim));
  if (config.layer_norms) {
    path.vectors.push_back(vector(VectorRole::kAttentionNormBias, config.dim));
    path.vectors.push_back(vector(VectorRole::kFeedForwardNormBias, config.dim));
  }
  if (config.post_norms) {
    path.vectors.push_back(vector(VectorRole::kAttentionPostNorm, config.dim));
    path.vectors.push_back(vector(VectorRole::kFeedForwardPostNorm, config.dim));
  }
  return path;
}

/// What is added to embeddings, and their norm.
PathSpec embedding_vectors(const engine::ModelConfig& config) {
  PathSpec path{.kind = PathKind::kReplicated, .layer = 0, .index = 1};
  path.vectors = {vector(VectorRole::kPositions, config.max_context_tokens * config.dim),
                  vector(VectorRole::kEmbeddingNorm, config.dim), vector(VectorRole::kEmbeddingNormBias, config.dim)};
  if (config.n_token_types > 1) path.vectors.push_back(vector(VectorRole::kTokenTypes, (config.n_token_types - 1) * config.dim));
  return path;
}

/// Calls head(h) for each query head of a path, and output(first, n) after each group of them.
template <typename Head, typename Output>
void for_output_groups(const engine::ModelConfig& config, int n_heads, const Head& head, const Output& output) {
  for (int first = 0; first < n_heads; first += config.output_heads) {
    const int last = std::min(first + config.output_heads, n_heads);
    for (int h = first; h < last; ++h) head(h);
    output(first, last - first);
  }
}

PathSpec attention(const engine::ModelConfig& config, int layer, int kv_head, FormatId format) {
  const int n_kv_heads = std::min(config.kv_heads_of_path(), config.n_kv_heads - kv_head);
  const int n_heads = n_kv_heads * config.query_heads_per_kv();
  PathSpec path{.kind = PathKind::kAttention, .layer = layer, .index = kv_head, .first = kv_head * config.query_heads_per_kv(),
                .count = n_heads};
  for (int k = 0; k < n_kv_heads; ++k) {
    path.matrices.push_back(matrix(MatrixRole::kKey, k, config.head_dim, config.dim, format));
    path.matrices.push_back(matrix(MatrixRole::kValue, k, config.head_dim, config.dim, format));
  }
  for_output_groups(
      config, n_heads,
      [&](int h) { path.matrices.push_back(matrix(MatrixRole::kQuery, h, config.head_dim, config.dim, format)); },
      [&](int first, int n) { path.matrices.push_back(matrix(MatrixRole::kOutput, first, config.dim, n * config.head_dim, format)); });
  if (config.qkv_bias) {
    for (int k = 0; k < n_kv_heads; ++k) {
      path.vectors.push_back(vector(VectorRole::kKeyBias, config.head_dim, k));
      path.vectors.push_back(vector(VectorRole::kValueBias, config.head_dim, k));
    }
    for (int h = 0; h < n_heads; ++h) path.vectors.push_back(vector(VectorRole::kQueryBias, config.head_dim, h));
  }
  if (config.attention_sinks) path.vectors.push_back(vector(VectorRole::kSinks, n_heads));
  return path;
}

void add_latents(std::vector<PathSpec>& paths, const engine::ModelConfig& config, int layer, FormatId format) {
  int index = 0;
  const auto add_rows = [&](MatrixRole role, int n_rows) {
    if (n_rows == 0) return;
    for (const Group& rows : split_groups(n_rows)) {
      PathSpec path{.kind = PathKind::kLatent, .layer = layer, .index = index++, .first = rows.first, .count = rows.count};
      path.matrices = {matrix(role, 0, rows.count, config.dim, format)};
      add(paths, std::move(path));
    }
  };
  add_rows(MatrixRole::kQueryLatent, config.latent.query_dim);
  add_rows(MatrixRole::kLatent, config.latent.cached_dim());
}

PathSpec latent_attention(const engine::ModelConfig& config, int layer, FormatId format) {
  const engine::LatentConfig& latent = config.latent;
  const int query_input = latent.query_dim > 0 ? latent.query_dim : config.dim;
  PathSpec path{.kind = PathKind::kAttention, .layer = layer, .count = config.n_heads};
  for_output_groups(
      config, config.n_heads,
      [&](int h) {
        path.matrices.push_back(matrix(MatrixRole::kQuery, h, latent.query_rows(), query_input, format));
        path.matrices.push_back(matrix(MatrixRole::kIntoLatent, h, latent.dim, latent.plain_dim, format));
        path.matrices.push_back(matrix(MatrixRole::kOutOfLatent, h, latent.value_dim, latent.dim, format));
      },
      [&](int first, int n) { path.matrices.push_back(matrix(MatrixRole::kOutput, first, config.dim, n * latent.value_dim, format)); });
  return path;
}

PathSpec feed_forward(const engine::ModelConfig& config, PathKind kind, int layer, int index, Group neurons, int expert,
                      FormatId format) {
  PathSpec path{.kind = kind, .layer = layer, .index = index, .expert = expert,
                .first = neurons.first, .count = neurons.count};
  path.matrices.push_back(matrix(MatrixRole::kGate, 0, neurons.count, config.dim, format));
  if (config.gated()) path.matrices.push_back(matrix(MatrixRole::kUp, 0, neurons.count, config.dim, format));
  path.matrices.push_back(matrix(MatrixRole::kDown, 0, config.dim, neurons.count, format));
  if (config.neuron_bias && kind == PathKind::kFeedForward) {
    path.vectors.push_back(vector(VectorRole::kGateBias, neurons.count));
    if (config.gated()) path.vectors.push_back(vector(VectorRole::kUpBias, neurons.count));
    if (neurons.first == 0) path.vectors.push_back(vector(VectorRole::kDownBias, config.dim));
  }
  return path;
}

void append_strips(std::vector<StripRef>& order, const PathSpec& path, std::size_t m) {
  for (std::uint32_t s = 0; s < path.matrices[m].n_strips(); ++s) order.push_back({static_cast<std::uint32_t>(m), s});
}

}  // namespace

std::uint64_t count_paths(const engine::ModelConfig& config) {
  std::uint64_t count = static_cast<std::uint64_t>(count_groups(config.vocab_size)) * (config.tied_embeddings || config.encoder ? 1 : 2) +
                        (config.encoder ? 0 : 1) + (config.position_embeddings ? 1 : 0);
  if (config.latent.used()) {
    const int queries = config.latent.query_dim > 0 ? count_groups(config.latent.query_dim) : 0;
    count += static_cast<std::uint64_t>(config.n_layers) *
             static_cast<std::uint64_t>(queries + count_groups(config.latent.cached_dim()));
  }
  for (const engine::LayerConfig& layer : config.layers)
    count += 1 + static_cast<std::uint64_t>((config.n_kv_heads + config.kv_heads_of_path() - 1) / config.kv_heads_of_path()) +
             static_cast<std::uint64_t>(count_groups(layer.hidden_dim, config.neuron_group)) * static_cast<std::uint64_t>(layer.n_experts) +
             static_cast<std::uint64_t>(layer.has_shared() ? count_groups(layer.shared_hidden_dim, config.neuron_group) : 0);
  return count;
}

int wide_neuron_group(const engine::ModelConfig& config) {
  constexpr int kWide = static_cast<int>(engine::kWideGroup), kLeastPaths = 8;
  const bool suits = std::all_of(config.layers.begin(), config.layers.end(), [](const engine::LayerConfig& layer) {
    return std::int64_t{layer.hidden_dim} * layer.n_experts >= kLeastPaths * kWide && layer.hidden_dim >= kWide;
  });
  return suits ? kWide : 0;
}

int wide_output_heads(const engine::ModelConfig& config) {
  if (config.value_dim() % engine::kStripRows != 0) return 1;
  const int per_kv = config.query_heads_per_kv();
  // Columns that are worth having while a layer has so many groups left. `gap-int4` at 90 % zeros from L2, 512 / 256 / 128 / 64 columns:
  // 1.3 / 1.5 / 1.75 / 2.5 bits a weight, 1400 / 1040 / 850 / 530 G multiply-adds a second of two cores with 64 tokens.
  struct Aim {
    int columns, least_groups;
  };
  int chosen = 1;
  for (const Aim& aim : {Aim{512, 16}, Aim{256, 8}, Aim{128, 4}}) {
    for (int heads = 2; heads <= config.n_heads && heads * config.value_dim() <= aim.columns; ++heads) {
      const bool within_kv = heads <= per_kv;
      if (!within_kv && heads % per_kv != 0) continue;
      const int of = within_kv ? per_kv : config.n_heads, n_groups = (of + heads - 1) / heads;
      const bool even = within_kv ? (of + n_groups - 1) / n_groups == heads : n_groups * heads - of < n_groups * per_kv;
      if (even && n_groups * (within_kv ? config.n_kv_heads : 1) >= aim.least_groups) chosen = std::max(chosen, heads);
    }
  }
  return chosen;
}

int kv_heads_of(const engine::ModelConfig& config, const PathSpec& path) {
  return config.latent.used() ? 1 : path.count / config.query_heads_per_kv();
}

FormatChoice format_choice(FormatId values) {
  // A row of the embedding is looked up, not multiplied: it gains no speed from fewer bits.
  const FormatId embedding = values == FormatId::kF32 ? FormatId::kF32 : FormatId::kBf16;
  return {.projections = values, .embedding = embedding, .head = values};
}

std::vector<Group> split_groups(int total, int least) {
  const int n_groups = count_groups(total, least);
  const int n_strips = (total + engine::kStripRows - 1) / engine::kStripRows;
  std::vector<Group> groups;
  groups.reserve(static_cast<std::size_t>(n_groups));
  for (int g = 0; g < n_groups; ++g) {
    // Rounding down leaves the larger groups, so also the one with an incomplete strip, at the end: none falls below
    // `least`.
    const auto boundary = [&](int i) {
      const auto strips = static_cast<std::int64_t>(n_strips) * i / n_groups;
      return std::min(total, static_cast<int>(strips) * engine::kStripRows);
    };
    groups.push_back({boundary(g), boundary(g + 1) - boundary(g)});
  }
  return groups;
}

std::vector<PathSpec> enumerate_paths(const engine::ModelConfig& config, const FormatChoice& formats) {
  std::vector<PathSpec> paths;
  add_vocabulary(paths, PathKind::kEmbedding, 0, config, config.tied_embeddings ? formats.head : formats.embedding);
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const engine::LayerConfig& l = config.layers[static_cast<std::size_t>(layer)];
    add(paths, replicated(config, layer));
    if (layer == 0 && config.position_embeddings) add(paths, embedding_vectors(config));
    if (config.latent.used()) {
      add_latents(paths, config, layer, formats.projections);
      add(paths, latent_attention(config, layer, formats.projections));
    }
    for (int kv_head = 0; !config.latent.used() && kv_head < config.n_kv_heads; kv_head += config.kv_heads_of_path())
      add(paths, attention(config, layer, kv_head, formats.projections));
    int index = 0;
    for (const Group& neurons : split_groups(l.hidden_dim, config.neuron_group)) {
      for (int expert = 0; expert < l.n_experts; ++expert)
        add(paths, feed_forward(config, PathKind::kFeedForward, layer, index, neurons, expert, formats.projections));
      ++index;
    }
    if (!l.has_shared()) continue;
    index = 0;
    for (const Group& neurons : split_groups(l.shared_hidden_dim, config.neuron_group))
      add(paths, feed_forward(config, PathKind::kSharedExpert, layer, index++, neurons, l.shared_expert(),
                              formats.projections));
  }
  if (config.encoder) return paths;
  PathSpec last{.kind = PathKind::kReplicated, .layer = config.n_layers};
  last.vectors = {vector(VectorRole::kFinalNorm, config.dim)};
  add(paths, std::move(last));
  if (!config.tied_embeddings)
    add_vocabulary(paths, PathKind::kHead, config.n_layers, config, formats.head);
  return paths;
}

std::uint64_t table_offset(const PathSpec& path, std::size_t matrix) {
  std::uint64_t entries = 0;
  for (std::size_t m = 0; m < matrix; ++m) entries += path.matrices[m].n_strips() + 1;
  return entries * sizeof(std::uint64_t);
}

std::uint64_t vector_offset(const PathSpec& path, std::size_t vector) {
  std::uint64_t offset = round_up(table_offset(path, path.matrices.size()), engine::kStripAlignment);
  for (std::size_t v = 0; v < vector; ++v)
    offset += round_up(path.vectors[v].count * sizeof(float), engine::kStripAlignment);
  return offset;
}

std::uint64_t blob_header_bytes(const PathSpec& path) { return vector_offset(path, path.vectors.size()); }

std::vector<StripRef> execution_order(const PathSpec& path) {
  std::vector<StripRef> order;
  std::size_t n_strips = 0;
  for (const MatrixSpec& m : path.matrices) n_strips += m.n_strips();
  order.reserve(n_strips);
  std::size_t next = 0;
  if (has_neurons(path.kind) && path.matrices.size() == 3) {
    // Gate and up of the same neurons together, so that their product is formed while both are in registers.
    for (std::uint32_t s = 0; s < path.matrices[0].n_strips(); ++s) {
      order.push_back({0, s});
      order.push_back({1, s});
    }
    next = 2;
  }
  for (; next < path.matrices.size(); ++next) append_strips(order, path, next);
  return order;
}

std::uint64_t next_strip_offset(std::span<const StripRef> order, std::size_t i, std::uint64_t end) {
  const bool same = i + 1 < order.size() && order[i + 1].matrix == order[i].matrix;
  return same ? end : round_up(end, engine::kStripAlignment);
}

std::vector<BlobPart> blob_parts(const PathSpec& path) {
  if (path.kind != PathKind::kAttention) return {};
  std::vector<BlobPart> parts{{0, blob_header_bytes(path)}};
  bool in_group = false;
  for (const MatrixSpec& m : path.matrices) {
    if (m.role == MatrixRole::kQuery) {
      if (!in_group) parts.push_back({parts.back().offset + parts.back().bytes, 0, m.part, 0});
      ++parts.back().n_heads;
    }
    in_group = is_of_query_head(m.role) && m.role != MatrixRole::kOutput;
    parts.back().bytes += m.bytes;
  }
  return parts;
}

std::string path_title(const PathSpec& path) {
  const int last = path.first + path.count - 1;
  switch (path.kind) {
    case PathKind::kReplicated: return text("layer ", path.layer, ", norms and router");
    case PathKind::kEmbedding: return text("embedding of tokens ", path.first, "-", last);
    case PathKind::kLatent: return text("layer ", path.layer, ", latent rows ", path.first, "-", last);
    case PathKind::kAttention: {
      const auto n = std::count_if(path.matrices.begin(), path.matrices.end(), [](const MatrixSpec& m) { return m.role == MatrixRole::kKey; });
      if (n > 1) return text("layer ", path.layer, ", KV heads ", path.index, "-", path.index + n - 1);
      return text("layer ", path.layer, ", KV head ", path.index);
    }
    case PathKind::kFeedForward:
      return text("layer ", path.layer, ", neurons ", path.first, "-", last, " of expert ", path.expert);
    case PathKind::kSharedExpert: return text("layer ", path.layer, ", neurons ", path.first, "-", last, " of the shared expert");
    case PathKind::kHead: return text("head rows of tokens ", path.first, "-", last);
  }
  return text("path of unknown kind ", static_cast<std::uint32_t>(path.kind));
}

}  // namespace colonnade::shard
