// IBM Granite 3: Llama with factors on embeddings, on what blocks add, on scores and on logits; dense, or a mixture whose
// experts are stored together. transformers GraniteForCausalLM, GraniteMoeForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config, read_shared_fields(fields, {}));
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("attention_bias", false));
  config.output_bias = config.qkv_bias;
  COLONNADE_ASSIGN(const bool mlp_bias, fields.flag("mlp_bias", false));
  if (mlp_bias) return fields.invalid("mlp_bias", "false (true is not supported)");
  COLONNADE_ASSIGN(config.embedding_scale, fields.number("embedding_multiplier", 1.0f));
  COLONNADE_ASSIGN(config.residual_scale, fields.number("residual_multiplier", 1.0f));
  COLONNADE_ASSIGN(config.attention_scale, fields.number("attention_multiplier", 1.0f));
  COLONNADE_ASSIGN(const float divisor, fields.number("logits_scaling", 1.0f));
  config.logit_scale = 1.0f / divisor;
  return config;
}

Result<engine::ModelConfig> read_mixture(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config, read(fields));
  COLONNADE_ASSIGN(const int n_experts, fields.positive("num_local_experts", 8, 1 << 16));
  COLONNADE_ASSIGN(const int n_active, fields.positive("num_experts_per_tok", 2, 1 << 16));
  for (engine::LayerConfig& layer : config.layers)
    COLONNADE_TRY(make_mixture(fields, "num_local_experts", n_experts, n_active, layer.hidden_dim, layer));
  return config;
}

}  // namespace

const Family& granite_family() {
  static const Family family{"granite", "GraniteForCausalLM", {}, read};
  return family;
}

const Family& granitemoe_family() {
  static const Family family{
      "granitemoe",
      "GraniteMoeForCausalLM",
      {.router = "block_sparse_moe.router.layer",
       .stacked = {.gate_up = "block_sparse_moe.input_linear.weight", .down = "block_sparse_moe.output_linear.weight"}},
      read_mixture};
  return family;
}

}  // namespace colonnade::shard
