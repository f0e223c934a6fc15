// DeepSeek V2, V3 and R1, Kimi K2: multi-head latent attention; experts chosen within groups, beside shared ones.
// transformers DeepseekV2ForCausalLM, DeepseekV3ForCausalLM.
#include <cmath>

#include "engine/base/format_text.h"
#include "shard/family.h"

namespace colonnade::shard {
namespace {

using engine::ModelConfig;

/// YaRN's longer context makes scores larger, too.
Result<float> read_score_amplitude(const ConfigFields& fields, const engine::RopeConfig& rope) {
  if (rope.scaling != engine::RopeScaling::kYarn) return 1.0f;
  const Json* older = fields.find("rope_scaling");
  const Json* object = older != nullptr && !older->empty() ? older : fields.find("rope_parameters");
  const ConfigFields scaling(*object, text(fields.where(), ": rope_scaling"));
  const Json* value = scaling.find("mscale_all_dim");
  if (value == nullptr || *value == 0) return 1.0f;
  COLONNADE_ASSIGN(const float mscale, scaling.number("mscale_all_dim"));
  return yarn_amplitude(rope.factor, mscale);
}

Status read_latents(const ConfigFields& fields, ModelConfig& config) {
  engine::LatentConfig& latent = config.latent;
  COLONNADE_ASSIGN(latent.dim, fields.positive("kv_lora_rank", {}, 1 << 14));
  if (latent.dim % 16 != 0) return fields.invalid("kv_lora_rank", "a multiple of 16");
  if (!fields.is_null("q_lora_rank")) {
    COLONNADE_ASSIGN(latent.query_dim, fields.positive("q_lora_rank", {}, 1 << 20));
  }
  COLONNADE_ASSIGN(latent.plain_dim, fields.positive("qk_nope_head_dim", {}, 1 << 14));
  COLONNADE_ASSIGN(latent.rotary_dim, fields.positive("qk_rope_head_dim", {}, 1 << 14));
  if (latent.rotary_dim % 2 != 0) return fields.invalid("qk_rope_head_dim", "an even value");
  COLONNADE_ASSIGN(latent.value_dim, fields.positive("v_head_dim", {}, 1 << 14));
  COLONNADE_ASSIGN(const bool bias, fields.flag("attention_bias", false));
  if (bias) return fields.invalid("attention_bias", "false (true is not supported)");
  COLONNADE_ASSIGN(const bool interleaved, fields.flag("rope_interleave", true));
  if (!interleaved) return fields.invalid("rope_interleave", "true (false is not supported)");
  config.n_kv_heads = 1;
  config.head_dim = latent.cached_dim();
  config.rope.rotary_dim = latent.rotary_dim;
  COLONNADE_ASSIGN(const float amplitude, read_score_amplitude(fields, config.rope));
  config.attention_scale = amplitude * amplitude / std::sqrt(static_cast<float>(latent.query_rows()));
  return {};
}

Result<ModelConfig> read_with(const ConfigFields& fields, const RoutedExpertDefaults& experts) {
  // Heads have their own fields here; the usual one, where it is there, says nothing.
  COLONNADE_ASSIGN(ModelConfig config, read_shared_fields(fields, {.head_dim = 64, .max_context_tokens = 4096}));
  COLONNADE_TRY(read_latents(fields, config));
  COLONNADE_TRY(read_routed_experts(fields, experts, config));
  return config;
}

Result<ModelConfig> read_v2(const ConfigFields& fields) {
  COLONNADE_ASSIGN(ModelConfig config, read_with(fields, {.method = "greedy",
                                                          .score = "softmax",
                                                          .n_active = 6,
                                                          .hidden_dim = 1407,
                                                          .n_shared = 2,
                                                          .first_sparse_layer = 0,
                                                          .normalize = false}));
  // Its own code scales weights only where it does not normalise them.
  if (config.router.normalize) config.router.scaling = 1.0f;
  return config;
}

Result<ModelConfig> read_v3(const ConfigFields& fields) {
  return read_with(fields, {.method = "noaux_tc",
                            .score = "sigmoid",
                            .n_active = 8,
                            .hidden_dim = 2048,
                            .n_shared = 1,
                            .first_sparse_layer = 3,
                            .normalize = true,
                            .n_groups = 8,
                            .n_active_groups = 4,
                            .scaling = 2.5f});
}

}  // namespace

const Family& deepseek_v2_family() {
  static const Family family{"deepseek_v2", "DeepseekV2ForCausalLM", {.interleaved_rotation = true}, read_v2};
  return family;
}

const Family& deepseek_v3_family() {
  static const Family family{"deepseek_v3", "DeepseekV3ForCausalLM", {.interleaved_rotation = true}, read_v3};
  return family;
}

const Family& kimi_k2_family() {
  static const Family family{"kimi_k2", "DeepseekV3ForCausalLM", {.interleaved_rotation = true}, read_v3};
  return family;
}

}  // namespace colonnade::shard
