// Gemma 2 and 3: norms around every block whose weights are stored less one, gelu, scaled embeddings, windows in most
// layers; Gemma 2 caps scores and logits, Gemma 3 normalises query and key heads and has a rope of its own for windowed
// layers. transformers Gemma2ForCausalLM, Gemma3ForCausalLM.
#include <cmath>

#include "engine/base/format_text.h"
#include "shard/family.h"

namespace colonnade::shard {
namespace {

constexpr TensorNames kNames{.feed_forward_norm = "pre_feedforward_layernorm",
                             .attention_post_norm = "post_attention_layernorm",
                             .norm_offset = 1.0f};

/// A soft cap; null is none.
Status read_cap(const ConfigFields& fields, const char* name, float if_absent, float& cap) {
  cap = fields.is_null(name) ? 0.0f : if_absent;
  if (fields.has(name)) {
    COLONNADE_ASSIGN(cap, fields.number(name));
  }
  return {};
}

Result<engine::ModelConfig> read_shared(const ConfigFields& fields, const FamilyDefaults& defaults) {
  COLONNADE_ASSIGN(engine::ModelConfig config, read_shared_fields(fields, defaults));
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("attention_bias", false));
  config.output_bias = config.qkv_bias;
  config.post_norms = true;
  config.embedding_scale = std::sqrt(static_cast<float>(config.dim));
  COLONNADE_ASSIGN(const float scalar, fields.number("query_pre_attn_scalar", 256.0f));
  config.attention_scale = 1.0f / std::sqrt(scalar);
  return config;
}

Result<engine::ModelConfig> read_gemma2(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared(fields, {.n_kv_heads = 4, .head_dim = 256, .max_context_tokens = 8192, .norm_eps = 1e-6f,
                                        .tied_embeddings = true, .activation_field = "hidden_activation",
                                        .activation = "gelu_pytorch_tanh"}));
  COLONNADE_TRY(read_cap(fields, "attn_logit_softcapping", 50.0f, config.attention_soft_cap));
  COLONNADE_TRY(read_cap(fields, "final_logit_softcapping", 30.0f, config.logit_soft_cap));
  COLONNADE_TRY(read_alternating_windows(fields, 4096, 2, config));
  return config;
}

/// transformers from version 5 on has the ropes of layers that see all and of those with windows in one object.
Result<bool> has_ropes_by_layer_type(const ConfigFields& fields) {
  const Json* ropes = fields.find("rope_parameters");
  if (ropes == nullptr || !ropes->is_object() || !(ropes->contains("full_attention") || ropes->contains("sliding_attention"))) return false;
  for (const auto& [type, rope] : ropes->items())
    if (type != "full_attention" && type != "sliding_attention")
      return fields.invalid("rope_parameters", "an object with full_attention and sliding_attention, or one for all layers");
  return true;
}

/// The configuration as if all layers were of one type.
Json with_rope_of(const ConfigFields& fields, const char* layer_type) {
  Json config = fields.object();
  Json rope = fields.find("rope_parameters")->value(layer_type, Json());
  config["rope_parameters"] = std::move(rope);
  return config;
}

Result<engine::ModelConfig> read_gemma3(const ConfigFields& fields) {
  const FamilyDefaults defaults{.n_heads = 8, .vocab_size = 262208,  // left out by its authors
                                .n_kv_heads = 4, .head_dim = 256, .max_context_tokens = 131072, .norm_eps = 1e-6f,
                                .rope_theta = 1e6f, .tied_embeddings = true,
                                .activation_field = "hidden_activation", .activation = "gelu_pytorch_tanh"};
  COLONNADE_ASSIGN(const bool by_layer_type, has_ropes_by_layer_type(fields));
  const Json of_full = by_layer_type ? with_rope_of(fields, "full_attention") : Json();
  COLONNADE_ASSIGN(engine::ModelConfig config, read_shared(by_layer_type ? ConfigFields(of_full, fields.where()) : fields, defaults));
  COLONNADE_ASSIGN(const bool both_ways, fields.flag("use_bidirectional_attention", false));
  if (both_ways) return fields.invalid("use_bidirectional_attention", "false (true is not supported)");
  config.qk_norm = true;
  COLONNADE_TRY(read_cap(fields, "attn_logit_softcapping", 0.0f, config.attention_soft_cap));
  COLONNADE_TRY(read_cap(fields, "final_logit_softcapping", 0.0f, config.logit_soft_cap));
  COLONNADE_ASSIGN(const int pattern, fields.positive("sliding_window_pattern", 6, 1 << 14));
  COLONNADE_TRY(read_alternating_windows(fields, 4096, pattern, config));
  engine::RopeConfig local;
  local.rotary_dim = config.head_dim;
  COLONNADE_ASSIGN(local.theta, fields.number("rope_local_base_freq", 10000.0f));
  if (by_layer_type) {
    Json of_windows = with_rope_of(fields, "sliding_attention");
    for (const char* of_others : {"rope_theta", "rope_scaling"}) of_windows.erase(of_others);
    FamilyDefaults windowed = defaults;
    windowed.rope_theta = local.theta;
    COLONNADE_ASSIGN(const engine::ModelConfig read, read_shared_fields(ConfigFields(of_windows, fields.where()), windowed));
    local = read.rope;
  }
  config.more_ropes.push_back(local);
  for (engine::LayerConfig& layer : config.layers) layer.rope = layer.window_tokens > 0 ? 1 : 0;
  return config;
}

}  // namespace

const Family& gemma2_family() {
  static const Family family{"gemma2", "Gemma2ForCausalLM", kNames, read_gemma2};
  return family;
}

const Family& gemma3_family() {
  static const TensorNames names = [] {
    TensorNames of_text = kNames;
    of_text.prefix = of_text.inner_prefix = "language_model.";
    return of_text;
  }();
  static const Family family{"gemma3_text", "Gemma3ForCausalLM", names, read_gemma3, "gemma3", "Gemma3ForConditionalGeneration"};
  return family;
}

}  // namespace colonnade::shard
