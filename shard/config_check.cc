#include "shard/hf_config.h"

#include <cmath>

#include "engine/base/format_text.h"
#include "shard/paths.h"

namespace colonnade::shard {
namespace {

Status within(const char* name, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value >= least && value <= most) return {};
  return Error{ErrorCode::kInvalidArgument, text(name, ": expected ", least, " to ", most, ", found ", value)};
}

Status check_latent(const engine::ModelConfig& config) {
  const engine::LatentConfig& latent = config.latent;
  COLONNADE_TRY(within("latent dim", latent.dim, 16, 1 << 14));
  COLONNADE_TRY(within("latent dim modulo 16", latent.dim % 16, 0, 0));
  COLONNADE_TRY(within("latent rotary_dim", latent.rotary_dim, config.rope.rotary_dim, config.rope.rotary_dim));
  COLONNADE_TRY(within("latent query_dim", latent.query_dim, 0, 1 << 20));
  COLONNADE_TRY(within("latent plain_dim", latent.plain_dim, 1, 1 << 14));
  COLONNADE_TRY(within("latent value_dim", latent.value_dim, 1, 1 << 14));
  COLONNADE_TRY(within("n_kv_heads of latents", config.n_kv_heads, 1, 1));
  COLONNADE_TRY(within("head_dim of latents", config.head_dim, latent.cached_dim(), latent.cached_dim()));
  if (!(latent.norm_eps > 0.0f)) return Error{ErrorCode::kInvalidArgument, text("latent norm_eps: expected more than 0, found ", latent.norm_eps)};
  if (config.qk_norm || config.qkv_bias) return Error{ErrorCode::kInvalidArgument, "latents: expected neither biases nor norms of heads"};
  for (const engine::LayerConfig& layer : config.layers) COLONNADE_TRY(within("window_tokens of latents", layer.window_tokens, 0, 0));
  return {};
}

Status check_router(const engine::RouterConfig& router, const engine::LayerConfig& layer) {
  COLONNADE_TRY(within("router score", static_cast<std::int64_t>(router.score), 0, 1));
  COLONNADE_TRY(within("router group score", static_cast<std::int64_t>(router.group_score), 0, 1));
  COLONNADE_TRY(within("groups of experts", router.n_groups, 1, layer.n_experts));
  COLONNADE_TRY(within("n_experts modulo groups of experts", layer.n_experts % router.n_groups, 0, 0));
  COLONNADE_TRY(within("active groups of experts", router.n_active_groups, 1, router.n_groups));
  return within("n_active", layer.n_active, 1, layer.n_experts / router.n_groups * router.n_active_groups);
}

Status positive(const char* name, float value) {
  if (std::isfinite(value) && value > 0.0f) return {};
  return Error{ErrorCode::kInvalidArgument, text(name, ": expected a finite value above 0, found ", value)};
}

Status positive_or_0(const char* name, float value) { return value == 0.0f ? Status{} : positive(name, value); }

Status check_rope(const engine::RopeConfig& rope, int head_dim) {
  COLONNADE_TRY(within("rotary_dim", rope.rotary_dim, 2, head_dim));
  COLONNADE_TRY(within("rotary_dim modulo 2", rope.rotary_dim % 2, 0, 0));
  if (!rope.factors.empty()) COLONNADE_TRY(within("rope factors", static_cast<std::int64_t>(rope.factors.size()), rope.rotary_dim / 2, rope.rotary_dim / 2));
  for (const float factor : rope.factors) COLONNADE_TRY(positive("a rope factor", factor));
  COLONNADE_TRY(positive("rope theta", rope.theta));
  COLONNADE_TRY(positive("rope factor", rope.factor));
  COLONNADE_TRY(positive("rope low_freq_factor", rope.low_freq_factor));
  return positive("rope high_freq_factor", rope.high_freq_factor);
}

}  // namespace

Status check_model_config(const engine::ModelConfig& config) {
  // Far above every real model; products of two fit 32 bits or are computed in 64.
  COLONNADE_TRY(within("dim", config.dim, 1, 1 << 20));
  COLONNADE_TRY(within("n_layers", config.n_layers, 1, 1 << 14));
  COLONNADE_TRY(within("n_heads", config.n_heads, 1, 1 << 14));
  COLONNADE_TRY(within("n_kv_heads", config.n_kv_heads, 1, config.n_heads));
  COLONNADE_TRY(within("head_dim", config.head_dim, 2, 1 << 14));
  COLONNADE_TRY(within("n_heads * head_dim", std::int64_t{config.n_heads} * config.head_dim, 2, 1 << 22));
  COLONNADE_TRY(within("vocab_size", config.vocab_size, 1, 1 << 24));
  COLONNADE_TRY(within("max_context_tokens", config.max_context_tokens, 1, 1 << 30));
  COLONNADE_TRY(check_rope(config.rope, config.head_dim));
  COLONNADE_TRY(within("ropes", static_cast<std::int64_t>(config.more_ropes.size()), 0, 8));
  for (const engine::RopeConfig& rope : config.more_ropes) COLONNADE_TRY(check_rope(rope, config.head_dim));
  COLONNADE_TRY(within("n_heads modulo n_kv_heads", config.n_heads % config.n_kv_heads, 0, 0));
  if (config.latent.used()) COLONNADE_TRY(check_latent(config));
  if (config.qk_norm_joint && !config.qk_norm) return Error{ErrorCode::kInvalidArgument, "qk_norm_joint: expected qk_norm with it, found none"};
  COLONNADE_TRY(within("layers", static_cast<std::int64_t>(config.layers.size()), config.n_layers, config.n_layers));
  for (const engine::LayerConfig& layer : config.layers) {
    COLONNADE_TRY(within("hidden_dim", layer.hidden_dim, 1, 1 << 22));
    COLONNADE_TRY(within("n_experts", layer.n_experts, 1, 1 << 16));
    COLONNADE_TRY(within("n_experts * dim", std::int64_t{layer.n_experts} * config.dim, 1, 1 << 30));
    COLONNADE_TRY(within("n_active", layer.n_active, 1, layer.n_experts));
    COLONNADE_TRY(within("window_tokens", layer.window_tokens, 0, 1 << 30));
    COLONNADE_TRY(within("shared_hidden_dim", layer.shared_hidden_dim, 0, 1 << 22));
    if (layer.has_router()) COLONNADE_TRY(check_router(config.router, layer));
    COLONNADE_TRY(within("rope of a layer", layer.rope, -1, static_cast<std::int64_t>(config.more_ropes.size())));
  }
  if (config.position_embeddings)
    COLONNADE_TRY(within("max_context_tokens * dim", std::int64_t{config.max_context_tokens} * config.dim, 1, 1 << 30));
  // Their list is held in memory, some 300 bytes each.
  COLONNADE_TRY(within("neuron_group", config.neuron_group, engine::kStripRows, 1 << 22));
  COLONNADE_TRY(within("neuron_group modulo 16", config.neuron_group % engine::kStripRows, 0, 0));
  const int per_kv = config.query_heads_per_kv();
  COLONNADE_TRY(within("output_heads", config.output_heads, 1, config.n_heads));
  COLONNADE_TRY(within("output_heads modulo those of a KV head", config.output_heads > per_kv ? config.output_heads % per_kv : 0, 0, 0));
  if (config.output_heads > 1)
    COLONNADE_TRY(within("width of a head modulo 16 where heads lie side by side", config.value_dim() % engine::kStripRows, 0, 0));
  COLONNADE_TRY(within("paths of the model", static_cast<std::int64_t>(count_paths(config)), 1, 1 << 24));
  COLONNADE_TRY(positive("norm_eps", config.norm_eps));
  COLONNADE_TRY(positive("scaling of experts", config.router.scaling));
  COLONNADE_TRY(positive("embedding_scale", config.embedding_scale));
  COLONNADE_TRY(positive("residual_scale", config.residual_scale));
  COLONNADE_TRY(positive("logit_scale", config.logit_scale));
  COLONNADE_TRY(positive_or_0("query_growth", config.query_growth));
  COLONNADE_TRY(within("query_growth_tokens", config.query_growth_tokens, 1, 1 << 30));
  COLONNADE_TRY(within("n_token_types", config.n_token_types, 1, 1 << 10));
  COLONNADE_TRY(positive_or_0("attention_scale", config.attention_scale));
  COLONNADE_TRY(positive_or_0("attention_soft_cap", config.attention_soft_cap));
  COLONNADE_TRY(positive_or_0("logit_soft_cap", config.logit_soft_cap));
  if (config.activation == engine::Activation::kClampedSwish) {
    COLONNADE_TRY(positive("activation_limit", config.activation_limit));
    COLONNADE_TRY(positive("activation_steepness", config.activation_steepness));
  }
  return {};
}

ParameterCount count_parameters(const engine::ModelConfig& config) {
  const auto u = [](int value) { return static_cast<std::uint64_t>(value); };
  const std::uint64_t dim = u(config.dim);
  const std::uint64_t query_width = u(config.n_heads) * u(config.head_dim);
  const std::uint64_t kv_width = u(config.n_kv_heads) * u(config.head_dim);

  std::uint64_t attention = 2 * query_width * dim + 2 * kv_width * dim + 2 * dim;  // with both norms
  if (const engine::LatentConfig& l = config.latent; l.used()) {
    const std::uint64_t heads = u(config.n_heads), query_input = l.query_dim > 0 ? u(l.query_dim) : dim;
    attention = 2 * dim + u(l.query_dim) * (dim + 1) + u(l.cached_dim()) * dim + u(l.dim) +
                heads * (u(l.query_rows()) * query_input + u(l.plain_dim + l.value_dim) * u(l.dim) + dim * u(l.value_dim));
  }
  if (config.qkv_bias) attention += query_width + 2 * kv_width;
  if (config.output_bias) attention += dim;
  if (config.qk_norm) attention += u(config.query_norm_dim()) + u(config.key_norm_dim());
  if (config.post_norms) attention += 2 * dim;
  if (config.layer_norms) attention += 2 * dim;
  if (config.attention_sinks) attention += u(config.n_heads);

  ParameterCount count;
  count.total = u(config.vocab_size) * dim * (config.tied_embeddings || config.encoder ? 1 : 2) + (config.encoder ? 0 : dim);
  if (config.position_embeddings) count.total += (u(config.max_context_tokens) + u(config.n_token_types) - 1) * dim + 2 * dim;
  count.active = count.total;
  for (const engine::LayerConfig& layer : config.layers) {
    const std::uint64_t inner = config.gated() ? 2 : 1;  // gate, up
    const std::uint64_t expert =
        (inner + 1) * dim * u(layer.hidden_dim) + (config.neuron_bias ? inner * u(layer.hidden_dim) + dim : 0);
    std::uint64_t shared = attention + 3 * dim * u(layer.shared_hidden_dim);
    if (layer.has_router())
      shared += u(layer.n_experts) * (dim + (config.router.correction_bias ? 1 : 0) + (config.router.logit_bias ? 1 : 0));
    if (layer.shared_gate) shared += dim;
    count.total += shared + expert * u(layer.n_experts);
    count.active += shared + expert * u(layer.n_active);
  }
  return count;
}

}  // namespace colonnade::shard
