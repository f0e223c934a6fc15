#include "shard/plan_bytes.h"

#include <algorithm>
#include <limits>

#include "engine/base/units.h"
#include "engine/model/rank_context.h"
#include "engine/model/router.h"
#include "engine/model/window_pages.h"

namespace colonnade::shard {

std::vector<std::uint64_t> kv_head_bytes(const engine::ModelConfig& config, const PlanOptions& options) {
  const std::uint64_t block = engine::RankContext::cache_block_bytes(config, options.kv_type);
  const std::uint64_t pages = div_up(options.kv_tokens, engine::kPageTokens);
  const auto counted = static_cast<int>(std::min<std::uint64_t>(pages, std::numeric_limits<int>::max()));
  const auto window_pages = static_cast<std::uint64_t>(engine::window_pages(config, counted, options.max_step_tokens));
  std::vector<std::uint64_t> bytes;
  for (const engine::LayerConfig& layer : config.layers)
    bytes.push_back(block * (window_pages > 0 && layer.window_tokens > 0 ? window_pages : pages));
  return bytes;
}

std::uint64_t assignment_bytes(const PathSpec& path, const Assignment& assignment) {
  if (path.kind != PathKind::kAttention || assignment.n_heads == path.count) return path.bytes;
  std::uint64_t bytes = 0;
  for (const BlobPart& part : blob_parts(path))
    if (part.needed_for(assignment.first_head, assignment.n_heads)) bytes += part.bytes;
  return bytes;
}

std::uint64_t shared_router_bytes(const engine::ModelConfig& config, const PathSpec& path, std::size_t n_ranks) {
  if (path.kind != PathKind::kReplicated || path.layer >= config.n_layers) return 0;
  if (!engine::shares_scores(config, config.layers[static_cast<std::size_t>(path.layer)], n_ranks)) return 0;
  for (const VectorSpec& v : path.vectors)
    if (v.role == VectorRole::kRouter) return std::uint64_t{v.count} * sizeof(float);
  return 0;
}

double read_share(const engine::ModelConfig& config, const PathSpec& path, bool is_head) {
  if (path.kind == PathKind::kFeedForward) {
    const engine::LayerConfig& l = config.layers[static_cast<std::size_t>(path.layer)];
    return static_cast<double>(l.n_active) / l.n_experts;
  }
  if (path.kind == PathKind::kEmbedding && !is_head) return 1.0 / config.vocab_size;
  return 1.0;
}

namespace {

/// What a rank with all heads holds for latent attention: 64 tokens' heads at a time.
std::uint64_t latent_buffer_bytes(const engine::ModelConfig& config, std::uint64_t max_step_tokens) {
  const engine::LatentConfig& l = config.latent;
  if (!l.used()) return 0;
  const auto u = [](int value) { return static_cast<std::uint64_t>(value) + 16; };
  const std::uint64_t tokens = std::min<std::uint64_t>(max_step_tokens, 64), heads = u(config.n_heads);
  const std::uint64_t floats = heads * (u(l.query_rows()) + u(l.cached_dim()));
  const std::uint64_t multiplied = heads * (u(l.plain_dim) + u(l.dim) + u(l.value_dim) + 3 * engine::kWideGroup);
  // Latents of all tokens: this rank's, all ranks', two contributions, and what is multiplied.
  const std::uint64_t joined = 4 * (u(l.query_dim) + u(l.cached_dim())) * sizeof(float) + u(l.query_dim) * 41 / 8;
  return tokens * (floats * sizeof(float) + multiplied * 41 / 8) + max_step_tokens * joined;
}

}  // namespace

std::uint64_t activation_buffer_bytes(const engine::ModelConfig& config, int max_step_tokens) {
  const auto u = [](int value) { return static_cast<std::uint64_t>(value); };
  std::uint64_t hidden = 0, experts = 1;
  for (const engine::LayerConfig& l : config.layers) {
    hidden = std::max(hidden, u(l.hidden_dim) * u(l.n_active) + u(l.shared_hidden_dim));
    experts = std::max(experts, u(l.n_experts));
  }
  const std::uint64_t dim = u(config.dim), queries = config.latent.used() ? 0 : u(config.n_heads) * u(config.head_dim);
  const std::uint64_t keys = u(config.n_kv_heads) * u(config.head_dim), vocab = u(config.vocab_size);
  // Rows that are multiplied also exist as int8 with a scale and a sum for each 64 columns, as wide groups, and turned: 4 + 1 +
  // 1/8 + 9/8 + 33/32 bytes.
  const std::uint64_t multiplied = (dim + queries + hidden) * 233 / 32;
  // Residual stream and what the stage before sent, the join's sums and two contributions, what is normalised before it is
  // added; projections; router scores.
  const std::uint64_t floats = (config.post_norms ? 6 : 5) * dim + queries + 2 * keys + experts;
  // Of each core, six tiles of 64 columns; cores are not part of a plan, so a large node is taken.
  constexpr std::uint64_t kCores = 32, kTileFloats = 6 * 64;
  const std::uint64_t per_token = multiplied + sizeof(float) * (floats + kCores * kTileFloats);
  // By columns, each path and each head of up to 4 tokens writes its own sum. Logits: of 32 rows, of each core, gathered.
  const std::uint64_t slots = 4 * dim * (hidden / u(config.neuron_group) + u(config.n_heads) + 2);
  // Where cores share a context, each of up to 16 queries (or all heads of a path) has a sum for each run of positions.
  const std::uint64_t runs = div_up(u(config.max_context_tokens), u(engine::kRunTokens));
  const std::uint64_t sharing = config.latent.used() ? 16 : std::max<std::uint64_t>(16, u(config.query_heads_per_kv()));
  const std::uint64_t parts = runs * sharing * (u(config.attended_dim()) + 16);
  return u(max_step_tokens) * per_token + latent_buffer_bytes(config, u(max_step_tokens)) + sizeof(float) * (slots + parts + (32 + kCores + 4) * vocab);
}

}  // namespace colonnade::shard
