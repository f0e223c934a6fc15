// Llama 2, 3, 3.1, 3.2 and what shares their class: transformers LlamaForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config, read_shared_fields(fields, {}));
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("attention_bias", false));
  config.output_bias = config.qkv_bias;
  COLONNADE_ASSIGN(const bool mlp_bias, fields.flag("mlp_bias", false));
  if (mlp_bias) return fields.invalid("mlp_bias", "false (true is not supported)");
  return config;
}

}  // namespace

const Family& llama_family() {
  static const Family family{"llama", "LlamaForCausalLM", {}, read};
  return family;
}

}  // namespace colonnade::shard
