// gpt-oss: windows in every second layer, attention sinks, biases everywhere, experts stored together with gate and up
// interleaved, and a clamped activation of its own. transformers GptOssForCausalLM.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

/// Of the activation: a constant of the class, not of the configuration.
constexpr float kSteepness = 1.702f;

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.n_kv_heads = 8, .head_dim = 64, .max_context_tokens = 131072,
                                               .norm_eps = 1e-5f, .rope_theta = 150000.0f}));
  COLONNADE_ASSIGN(config.qkv_bias, fields.flag("attention_bias", true));
  config.output_bias = config.qkv_bias;
  config.attention_sinks = true;
  COLONNADE_TRY(read_alternating_windows(fields, 128, 2, config));
  config.activation = engine::Activation::kClampedSwish;
  COLONNADE_ASSIGN(config.activation_limit, fields.number("swiglu_limit", 7.0f));
  config.activation_steepness = kSteepness;
  config.neuron_bias = true;
  config.router.logit_bias = true;  // softmax over the chosen ones: over all, then normalised
  COLONNADE_ASSIGN(const int n_experts, fields.positive("num_local_experts", 128, 1 << 16));
  const char* active_field = fields.has("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token";
  COLONNADE_ASSIGN(const int n_active, fields.positive(active_field, 4, 1 << 16));
  for (engine::LayerConfig& layer : config.layers)
    COLONNADE_TRY(make_mixture(fields, "num_local_experts", n_experts, n_active, layer.hidden_dim, layer));
  return config;
}

}  // namespace

const Family& gpt_oss_family() {
  static const Family family{"gpt_oss",
                             "GptOssForCausalLM",
                             {.router = "mlp.router",
                              .stacked = {.gate_up = "mlp.experts.gate_up_proj",
                                          .down = "mlp.experts.down_proj",
                                          .transposed = true,
                                          .interleaved = true,
                                          .gate_up_bias = "mlp.experts.gate_up_proj_bias",
                                          .down_bias = "mlp.experts.down_proj_bias"}},
                             read};
  return family;
}

}  // namespace colonnade::shard
