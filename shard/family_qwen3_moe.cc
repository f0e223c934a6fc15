// Qwen 3 mixtures (30B-A3B, 235B-A22B, Coder): Qwen 3 attention, and mixtures in all or some layers. transformers
// Qwen3MoeForCausalLM.
#include "shard/family.h"

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

/// mlp_only_layers: layers that stay dense.
Result<std::vector<bool>> read_dense_layers(const ConfigFields& fields, int n_layers) {
  std::vector<bool> dense(static_cast<std::size_t>(n_layers), false);
  const Json* list = fields.find("mlp_only_layers");
  if (list == nullptr) return dense;
  if (!list->is_array()) return fields.invalid("mlp_only_layers", "a list of layers");
  for (const Json& layer : *list) {
    if (!layer.is_number_unsigned() || layer.get<std::uint64_t>() >= dense.size())
      return fields.invalid("mlp_only_layers", text("layers from 0 to ", n_layers - 1));
    dense[layer.get<std::size_t>()] = true;
  }
  return dense;
}

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.n_kv_heads = 4, .max_context_tokens = 32768}));
  config.qk_norm = true;
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("attention_bias", false));
  config.output_bias = config.qkv_bias;
  COLONNADE_TRY(read_optional_window(fields, 0, config));

  // num_local_experts is the newer name, which transformers prefers.
  const char* experts_field = fields.has("num_local_experts") ? "num_local_experts" : "num_experts";
  COLONNADE_ASSIGN(const int n_experts, fields.count(experts_field, 128, 1 << 16));
  COLONNADE_ASSIGN(const int n_active, fields.positive("num_experts_per_tok", 8, 1 << 16));
  COLONNADE_ASSIGN(const int hidden_dim, fields.positive("moe_intermediate_size", 768));
  COLONNADE_ASSIGN(const int step, fields.positive("decoder_sparse_step", 1));
  COLONNADE_ASSIGN(config.normalize_expert_weights, fields.flag("norm_topk_prob", false));
  COLONNADE_ASSIGN(const std::vector<bool> dense, read_dense_layers(fields, config.n_layers));
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    if (dense[i] || n_experts == 0 || (static_cast<int>(i) + 1) % step != 0) continue;
    COLONNADE_TRY(make_mixture(fields, experts_field, n_experts, n_active, hidden_dim, config.layers[i]));
  }
  return config;
}

}  // namespace

const Family& qwen3_moe_family() {
  static const Family family{"qwen3_moe", "Qwen3MoeForCausalLM", {}, read};
  return family;
}

}  // namespace colonnade::shard
