// Qwen 3, dense: an RMS norm on every query and key head. transformers Qwen3ForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.n_kv_heads = 32, .head_dim = 128, .max_context_tokens = 32768}));
  config.qk_norm = true;
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("attention_bias", false));
  config.output_bias = config.qkv_bias;
  COLONNADE_TRY(read_optional_window(fields, 28, config));
  return config;
}

}  // namespace

const Family& qwen3_family() {
  static const Family family{"qwen3", "Qwen3ForCausalLM", {}, read};
  return family;
}

}  // namespace colonnade::shard
