// Qwen 1.5 and Qwen 2 mixtures (A2.7B, 57B-A14B): Qwen 2 attention; experts beside a shared one with a gate. transformers
// Qwen2MoeForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.n_kv_heads = 16, .max_context_tokens = 32768}));
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("qkv_bias", true));
  COLONNADE_TRY(read_optional_window(fields, 28, config));
  COLONNADE_TRY(read_sparse_layers(fields, {"num_experts", 60, 4, 1408}, config));
  COLONNADE_ASSIGN(const int shared_dim, fields.positive("shared_expert_intermediate_size", 5632));
  for (engine::LayerConfig& layer : config.layers) {
    if (!layer.has_router()) continue;
    layer.shared_hidden_dim = shared_dim;
    layer.shared_gate = true;
  }
  return config;
}

}  // namespace

const Family& qwen2_moe_family() {
  static const Family family{"qwen2_moe", "Qwen2MoeForCausalLM", {.shared_expert = "mlp.shared_expert"}, read};
  return family;
}

}  // namespace colonnade::shard
