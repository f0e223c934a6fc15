// Qwen 2 and 2.5: biases on q, k and v. transformers Qwen2ForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.n_kv_heads = 32, .max_context_tokens = 32768}));
  config.qkv_bias = true;
  COLONNADE_TRY(read_optional_window(fields, 28, config));
  return config;
}

}  // namespace

const Family& qwen2_family() {
  static const Family family{"qwen2", "Qwen2ForCausalLM", {}, read};
  return family;
}

}  // namespace colonnade::shard
