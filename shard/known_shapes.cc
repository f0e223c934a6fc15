#include "shard/known_shapes.h"

#include "engine/base/format_text.h"
#include "shard/hf_config.h"

namespace colonnade::shard {
namespace {

struct Shape {
  const char* name;
  const char* family;
  int dim, n_layers, n_heads, n_kv_heads, head_dim, hidden_dim, vocab_size;
  int n_experts, n_active;
  bool tied;
  int context_tokens;
  float theta;
  float llama3_factor;  // 0: no rope scaling
  float norm_eps;
};

// As their config.json files say.
constexpr Shape kShapes[] = {
    {"llama-3.2-1b", "llama", 2048, 16, 32, 8, 64, 8192, 128256, 1, 1, true, 131072, 5e5f, 32, 1e-5f},
    {"llama-3.2-3b", "llama", 3072, 28, 24, 8, 128, 8192, 128256, 1, 1, true, 131072, 5e5f, 32, 1e-5f},
    {"llama-2-7b", "llama", 4096, 32, 32, 32, 128, 11008, 32000, 1, 1, false, 4096, 1e4f, 0, 1e-5f},
    {"llama-2-70b", "llama", 8192, 80, 64, 8, 128, 28672, 32000, 1, 1, false, 4096, 1e4f, 0, 1e-5f},
    {"llama-3.1-8b", "llama", 4096, 32, 32, 8, 128, 14336, 128256, 1, 1, false, 131072, 5e5f, 8, 1e-5f},
    {"llama-3.1-70b", "llama", 8192, 80, 64, 8, 128, 28672, 128256, 1, 1, false, 131072, 5e5f, 8, 1e-5f},
    {"llama-3.1-405b", "llama", 16384, 126, 128, 8, 128, 53248, 128256, 1, 1, false, 131072, 5e5f, 8, 1e-5f},
    {"mixtral-8x7b", "mixtral", 4096, 32, 32, 8, 128, 14336, 32000, 8, 2, false, 32768, 1e6f, 0, 1e-5f},
    {"mixtral-8x22b", "mixtral", 6144, 56, 48, 8, 128, 16384, 32000, 8, 2, false, 65536, 1e6f, 0, 1e-5f},
    {"qwen2.5-7b", "qwen2", 3584, 28, 28, 4, 128, 18944, 152064, 1, 1, false, 131072, 1e6f, 0, 1e-6f},
    {"qwen2.5-72b", "qwen2", 8192, 80, 64, 8, 128, 29568, 152064, 1, 1, false, 131072, 1e6f, 0, 1e-5f},
    {"qwen3-0.6b", "qwen3", 1024, 28, 16, 8, 128, 3072, 151936, 1, 1, true, 40960, 1e6f, 0, 1e-6f},
    {"qwen3-8b", "qwen3", 4096, 36, 32, 8, 128, 12288, 151936, 1, 1, false, 40960, 1e6f, 0, 1e-6f},
    {"qwen3-32b", "qwen3", 5120, 64, 64, 8, 128, 25600, 151936, 1, 1, false, 40960, 1e6f, 0, 1e-6f},
    {"qwen3-30b-a3b", "qwen3_moe", 2048, 48, 32, 4, 128, 768, 151936, 128, 8, false, 40960, 1e6f, 0, 1e-6f},
    {"qwen3-235b-a22b", "qwen3_moe", 4096, 94, 64, 4, 128, 1536, 151936, 128, 8, false, 40960, 1e6f, 0, 1e-6f},
    {"qwen3-coder-480b-a35b", "qwen3_moe", 6144, 62, 96, 8, 128, 2560, 151936, 160, 8, false, 262144, 1e7f, 0, 1e-6f},
};

/// Shapes that a family reads from its own words: what their config.json files say, as far as it is about sizes.
struct Described {
  const char* name;
  const char* config;
};
constexpr Described kDescribed[] = {
    {"deepseek-v3", R"({"model_type":"deepseek_v3","hidden_size":7168,"num_hidden_layers":61,"num_attention_heads":128,
        "num_key_value_heads":128,"intermediate_size":18432,"moe_intermediate_size":2048,"n_routed_experts":256,
        "num_experts_per_tok":8,"n_shared_experts":1,"first_k_dense_replace":3,"n_group":8,"topk_group":4,
        "routed_scaling_factor":2.5,"q_lora_rank":1536,"kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,
        "v_head_dim":128,"vocab_size":129280,"max_position_embeddings":163840,"rope_theta":10000,
        "rope_scaling":{"type":"yarn","factor":40,"beta_fast":32,"beta_slow":1,"mscale":1.0,"mscale_all_dim":1.0,
        "original_max_position_embeddings":4096}})"},
    {"kimi-k2", R"({"model_type":"kimi_k2","hidden_size":7168,"num_hidden_layers":61,"num_attention_heads":64,
        "num_key_value_heads":64,"intermediate_size":18432,"moe_intermediate_size":2048,"n_routed_experts":384,
        "num_experts_per_tok":8,"n_shared_experts":1,"first_k_dense_replace":1,"n_group":1,"topk_group":1,
        "routed_scaling_factor":2.827,"q_lora_rank":1536,"kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,
        "v_head_dim":128,"vocab_size":163840,"max_position_embeddings":131072,"rope_theta":50000,
        "rope_scaling":{"type":"yarn","factor":32,"beta_fast":1,"beta_slow":1,"mscale":1.0,"mscale_all_dim":1.0,
        "original_max_position_embeddings":4096}})"},
    {"glm-4.5", R"({"model_type":"glm4_moe","hidden_size":5120,"num_hidden_layers":92,"num_attention_heads":96,
        "num_key_value_heads":8,"head_dim":128,"intermediate_size":12288,"moe_intermediate_size":1536,
        "n_routed_experts":160,"num_experts_per_tok":8,"n_shared_experts":1,"first_k_dense_replace":3,
        "routed_scaling_factor":2.5,"partial_rotary_factor":0.5,"use_qk_norm":true,"attention_bias":true,
        "vocab_size":151552,"max_position_embeddings":131072,"rope_theta":1000000})"},
    {"gpt-oss-20b", R"({"model_type":"gpt_oss","hidden_size":2880,"num_hidden_layers":24,"num_attention_heads":64,
        "num_key_value_heads":8,"head_dim":64,"intermediate_size":2880,"num_local_experts":32,"num_experts_per_tok":4,
        "sliding_window":128,"swiglu_limit":7.0,"vocab_size":201088,"max_position_embeddings":131072,"rope_theta":150000,
        "rope_scaling":{"rope_type":"yarn","factor":32,"beta_fast":32,"beta_slow":1,"truncate":false,
        "original_max_position_embeddings":4096}})"},
    {"gpt-oss-120b", R"({"model_type":"gpt_oss","hidden_size":2880,"num_hidden_layers":36,"num_attention_heads":64,
        "num_key_value_heads":8,"head_dim":64,"intermediate_size":2880,"num_local_experts":128,"num_experts_per_tok":4,
        "sliding_window":128,"swiglu_limit":7.0,"vocab_size":201088,"max_position_embeddings":131072,"rope_theta":150000,
        "rope_scaling":{"rope_type":"yarn","factor":32,"beta_fast":32,"beta_slow":1,"truncate":false,
        "original_max_position_embeddings":4096}})"},
    {"llama-4-scout", R"({"model_type":"llama4_text","hidden_size":5120,"num_hidden_layers":48,"num_attention_heads":40,
        "num_key_value_heads":8,"head_dim":128,"intermediate_size":8192,"intermediate_size_mlp":16384,"num_local_experts":16,
        "num_experts_per_tok":1,"attention_chunk_size":8192,"vocab_size":202048,"max_position_embeddings":10485760,
        "rms_norm_eps":1e-5,"rope_theta":500000,"rope_scaling":{"rope_type":"llama3","factor":16,"low_freq_factor":1,
        "high_freq_factor":1,"original_max_position_embeddings":8192}})"},
    {"bert-base", R"({"model_type":"bert","hidden_size":768,"num_hidden_layers":12,"num_attention_heads":12,
        "intermediate_size":3072,"vocab_size":30522,"max_position_embeddings":512})"},
    {"bert-large", R"({"model_type":"bert","hidden_size":1024,"num_hidden_layers":24,"num_attention_heads":16,
        "intermediate_size":4096,"vocab_size":30522,"max_position_embeddings":512})"},
};

engine::ModelConfig config_of(const Shape& s) {
  engine::ModelConfig config;
  config.family = s.family;
  config.dim = s.dim;
  config.n_layers = s.n_layers;
  config.n_heads = s.n_heads;
  config.n_kv_heads = s.n_kv_heads;
  config.head_dim = s.head_dim;
  config.vocab_size = s.vocab_size;
  config.max_context_tokens = s.context_tokens;
  config.norm_eps = s.norm_eps;
  config.rope.theta = s.theta;
  config.rope.rotary_dim = s.head_dim;
  if (s.llama3_factor > 0) {
    config.rope.scaling = engine::RopeScaling::kLlama3;
    config.rope.factor = s.llama3_factor;
    config.rope.original_context_tokens = 8192;
  }
  config.qkv_bias = config.family == "qwen2";
  config.qk_norm = config.family.starts_with("qwen3");
  config.tied_embeddings = s.tied;
  config.layers.assign(static_cast<std::size_t>(s.n_layers),
                       {.hidden_dim = s.hidden_dim, .n_experts = s.n_experts, .n_active = s.n_active});
  return config;
}

}  // namespace

std::vector<std::string> known_shape_names() {
  std::vector<std::string> names;
  for (const Shape& s : kShapes) names.emplace_back(s.name);
  for (const Described& d : kDescribed) names.emplace_back(d.name);
  return names;
}

Result<engine::ModelConfig> known_shape(std::string_view name) {
  for (const Shape& s : kShapes)
    if (name == s.name) return config_of(s);
  for (const Described& d : kDescribed)
    if (name == d.name) return parse_model_config(d.config, d.name);
  std::string names;
  for (const std::string& known : known_shape_names()) names += text(names.empty() ? "" : ", ", known);
  return Error{ErrorCode::kNotFound, text("no known shape is called \"", name, "\": expected one of ", names)};
}

}  // namespace colonnade::shard
