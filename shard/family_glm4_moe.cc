// GLM 4.5, 4.6 and 4.7: part of each head rotated; experts chosen by sigmoids with a correction bias, beside a shared
// one. transformers Glm4MoeForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config, read_shared_fields(fields, {.n_kv_heads = 8,
                                                                           .max_context_tokens = 131072,
                                                                           .norm_eps = 1e-5f,
                                                                           .partial_rotary = 0.5f}));
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("attention_bias", false));
  COLONNADE_ASSIGN(config.qk_norm, fields.flag("use_qk_norm", false));
  COLONNADE_TRY(read_routed_experts(fields,
                                    {.method = "noaux_tc",
                                     .score = "sigmoid",
                                     .n_active = 8,
                                     .hidden_dim = 1408,
                                     .n_shared = 1,
                                     .first_sparse_layer = 1,
                                     .normalize = true},
                                    config));
  return config;
}

}  // namespace

const Family& glm4_moe_family() {
  static const Family family{"glm4_moe", "Glm4MoeForCausalLM", {}, read};
  return family;
}

}  // namespace colonnade::shard
