// Phi-3 and Phi-4: Llama with one tensor for queries, keys and values, and one for gate and up; a sliding window in all
// layers. transformers Phi3ForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.max_context_tokens = 4096, .norm_eps = 1e-5f}));
  COLONNADE_ASSIGN(const bool attention_bias, fields.flag("attention_bias", false));
  if (attention_bias) return fields.invalid("attention_bias", "false (true is not supported)");
  if (fields.has("sliding_window")) {
    COLONNADE_ASSIGN(const int window, fields.positive("sliding_window", {}, 1 << 30));
    for (engine::LayerConfig& layer : config.layers) layer.window_tokens = window;
  }
  return config;
}

}  // namespace

const Family& phi3_family() {
  static const Family family{"phi3", "Phi3ForCausalLM",
                             {.query_key_value = "self_attn.qkv_proj", .dense_gate_up = "mlp.gate_up_proj"}, read};
  return family;
}

}  // namespace colonnade::shard
