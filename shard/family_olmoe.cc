// OLMoE: queries and keys are normalised over all heads together; every layer a mixture. transformers OlmoeForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.max_context_tokens = 4096, .norm_eps = 1e-5f}));
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("attention_bias", false));
  config.output_bias = config.qkv_bias;
  if (fields.has("clip_qkv")) return fields.invalid("clip_qkv", "null (others are not supported)");
  config.qk_norm = config.qk_norm_joint = true;
  COLONNADE_ASSIGN(const int n_experts, fields.positive("num_experts", 64, 1 << 16));
  COLONNADE_ASSIGN(const int n_active, fields.positive("num_experts_per_tok", 8, 1 << 16));
  COLONNADE_ASSIGN(config.router.normalize, fields.flag("norm_topk_prob", false));
  for (engine::LayerConfig& layer : config.layers)
    COLONNADE_TRY(make_mixture(fields, "num_experts", n_experts, n_active, layer.hidden_dim, layer));
  return config;
}

}  // namespace

const Family& olmoe_family() {
  static const Family family{"olmoe", "OlmoeForCausalLM", {}, read};
  return family;
}

}  // namespace colonnade::shard
