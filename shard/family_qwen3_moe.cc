// Qwen 3 mixtures (30B-A3B, 235B-A22B, Coder): Qwen 3 attention, and mixtures in all or some layers. transformers
// Qwen3MoeForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.n_kv_heads = 4, .max_context_tokens = 32768}));
  config.qk_norm = true;
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("attention_bias", false));
  config.output_bias = config.qkv_bias;
  COLONNADE_TRY(read_optional_window(fields, 0, config));

  // num_local_experts is the newer name, which transformers prefers.
  const char* experts_field = fields.has("num_local_experts") ? "num_local_experts" : "num_experts";
  COLONNADE_TRY(read_sparse_layers(fields, {experts_field, 128, 8, 768}, config));
  return config;
}

}  // namespace

const Family& qwen3_moe_family() {
  static const Family family{"qwen3_moe", "Qwen3MoeForCausalLM", {}, read};
  return family;
}

}  // namespace colonnade::shard
