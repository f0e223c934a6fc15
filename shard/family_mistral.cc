// Mistral 7B and its successors: Llama with a sliding window in all layers. transformers MistralForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.n_kv_heads = 8, .max_context_tokens = 131072}));
  // Absent means the first release's 4096; null means none.
  int window = fields.is_null("sliding_window") ? 0 : 4096;
  if (fields.has("sliding_window")) {
    COLONNADE_ASSIGN(window, fields.positive("sliding_window", {}, 1 << 30));
  }
  for (engine::LayerConfig& layer : config.layers) layer.window_tokens = window;
  return config;
}

}  // namespace

const Family& mistral_family() {
  static const Family family{"mistral", "MistralForCausalLM", {}, read};
  return family;
}

}  // namespace colonnade::shard
