// Mixtral 8x7B and 8x22B: every layer a mixture whose chosen weights are normalised. transformers MixtralForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.n_kv_heads = 8,
                                               .max_context_tokens = 131072,
                                               .norm_eps = 1e-5f,
                                               .rope_theta = 1e6f}));
  COLONNADE_ASSIGN(const int n_experts, fields.positive("num_local_experts", 8, 1 << 16));
  COLONNADE_ASSIGN(const int n_active, fields.positive("num_experts_per_tok", 2, 1 << 16));
  int window = 0;
  if (fields.has("sliding_window")) {
    COLONNADE_ASSIGN(window, fields.positive("sliding_window", {}, 1 << 30));
  }
  for (engine::LayerConfig& layer : config.layers) {
    COLONNADE_TRY(make_mixture(fields, "num_local_experts", n_experts, n_active, layer.hidden_dim, layer));
    layer.window_tokens = window;
  }
  config.router.normalize = true;
  return config;
}

}  // namespace

const Family& mixtral_family() {
  static const Family family{"mixtral",
                             "MixtralForCausalLM",
                             {.router = "block_sparse_moe.gate",
                              .experts = "block_sparse_moe.experts",
                              .expert_gate = "w1",
                              .expert_up = "w3",
                              .expert_down = "w2"},
                             read};
  return family;
}

}  // namespace colonnade::shard
