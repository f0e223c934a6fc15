// A family: one architecture of Hugging Face transformers, described by what differs from the others: the names of its
// tensors, its defaults, and how its configuration maps to engine::ModelConfig. One file family_<name>.cc each;
// family.cc lists them. Nothing outside these files asks which family a model is of.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/model/config.h"
#include "shard/config_fields.h"

namespace colonnade::shard {

/// Tensors of all experts of a layer (experts first), gate and up together.
struct StackedExperts {
  const char* gate_up = nullptr;  // whole name of the tensor within a layer; nullptr: each expert has its own tensors
  const char* down = nullptr;
  bool transposed = false;        // rows are inputs
  bool interleaved = false;       // gate 0, up 0, gate 1, …; else all of gate, then up
  const char* gate_up_bias = nullptr;  // with ModelConfig::neuron_bias
  const char* down_bias = nullptr;
};

/// Module names; layer modules follow "model.layers.<i>.", expert matrices "<experts>.<e>.".
struct TensorNames {
  const char* embedding = "model.embed_tokens";
  const char* final_norm = "model.norm";
  const char* head = "lm_head";
  const char* layer = "model.layers.";
  const char* attention_norm = "input_layernorm";
  const char* feed_forward_norm = "post_attention_layernorm";
  const char* query = "self_attn.q_proj";
  const char* key = "self_attn.k_proj";
  const char* value = "self_attn.v_proj";
  const char* output = "self_attn.o_proj";
  const char* query_norm = "self_attn.q_norm";
  const char* key_norm = "self_attn.k_norm";
  const char* dense = "mlp";            // of a layer without router
  const char* router = "mlp.gate";
  const char* experts = "mlp.experts";
  const char* dense_gate = "gate_proj";
  const char* dense_up = "up_proj";
  const char* dense_down = "down_proj";
  const char* router_bias = "mlp.gate.e_score_correction_bias";  // the whole name
  const char* shared_expert = "mlp.shared_experts";
  const char* shared_gate = "mlp.shared_expert_gate";
  const char* expert_gate = "gate_proj";
  const char* expert_up = "up_proj";
  const char* expert_down = "down_proj";
  const char* attention_post_norm = "post_attention_layernorm";        // where there are norms after the blocks
  const char* feed_forward_post_norm = "post_feedforward_layernorm";
  const char* positions = nullptr;         // where embeddings have them: a row for each position
  const char* token_type = nullptr;        // a row for each type; the first one is added to every position
  const char* embedding_norm = nullptr;
  const char* renamed_norm = "";           // modules that end so may have gamma and beta in place of weight and bias
  const char* prefix = "";                 // before all names, in checkpoints that have the embedding under it
  const char* inner_prefix = "";           // after "model.", in checkpoints that have the embedding so
  const char* sinks = "self_attn.sinks";  // a tensor, not a module
  // Of latents; output as above.
  const char* query_latent = "self_attn.q_a_proj";
  const char* query_latent_norm = "self_attn.q_a_layernorm";
  const char* query_of_latent = "self_attn.q_b_proj";  // `query` where there is no latent of queries
  const char* latent = "self_attn.kv_a_proj_with_mqa";
  const char* latent_norm = "self_attn.kv_a_layernorm";
  const char* heads_of_latent = "self_attn.kv_b_proj";  // for each head the plain part of its key, then its value
  bool interleaved_rotation = false;                    // neighbouring rows are rotated together, also without latents; here halves are
  const char* query_key_value = nullptr;  // one module for queries, keys, values, in that order
  const char* dense_gate_up = nullptr;    // one module for gate, up, in that order
  StackedExperts stacked = {};
  float norm_offset = 0.0f;               // added to the weights of RMS norms
};

struct Family {
  const char* model_type;    // "qwen3_moe"
  const char* architecture;  // "Qwen3MoeForCausalLM"
  TensorNames names;
  Result<engine::ModelConfig> (*read)(const ConfigFields& fields);
  // A model of text and other things whose text_config is one of this family: of it the text part is read.
  const char* whole_model_type = "";
  const char* whole_architecture = "";
  const char* also_architecture = "";  // one with more at its end, which is left out
};

const Family& llama_family();
const Family& mistral_family();
const Family& qwen2_family();
const Family& qwen3_family();
const Family& mixtral_family();
const Family& qwen2_moe_family();
const Family& qwen3_moe_family();
const Family& olmoe_family();
const Family& glm4_moe_family();
const Family& deepseek_v2_family();
const Family& deepseek_v3_family();
const Family& kimi_k2_family();
const Family& phi3_family();
const Family& gpt_oss_family();
const Family& bert_family();
const Family& granite_family();
const Family& granitemoe_family();
const Family& gemma2_family();
const Family& gemma3_family();
const Family& llama4_family();

std::span<const Family* const> all_families();
/// The family whose model_type is `name`, or nullptr.
const Family* find_family(std::string_view name);

/// The family of a config.json and the fields that it reads: those of text_config where the model is more than text.
/// kUnsupported names the architecture and lists what is supported.
struct FamilyFields {
  const Family* family;
  ConfigFields fields;
};
Result<FamilyFields> family_of(const ConfigFields& fields);

/// What a family's transformers class assumes where config.json is silent.
struct FamilyDefaults {
  std::optional<int> n_heads = {};     // without it required, as are the other sizes
  std::optional<int> vocab_size = {};
  int n_kv_heads = 0;               // 0: as many as query heads, what null always means
  int head_dim = 0;                 // 0: dim / n_heads
  int max_context_tokens = 2048;
  float norm_eps = 1e-6f;
  float rope_theta = 10000.0f;
  bool tied_embeddings = false;
  const char* activation_field = "hidden_act";
  const char* activation = "silu";
  bool gated = true;                // neurons have an up beside their gate
  std::optional<float> partial_rotary = {};  // part of a head that is rotated; without it others than 1 are refused
};

/// Reads what all families share (sizes, rope, norms, tied embeddings, activation function) and makes n_layers
/// dense layers of intermediate_size neurons without window.
Result<engine::ModelConfig> read_shared_fields(const ConfigFields& fields, const FamilyDefaults& defaults);

/// rope_type yarn: `scaling` is its object, `fields` all of the configuration.
Status read_yarn(const ConfigFields& fields, const ConfigFields& scaling, engine::RopeConfig& rope);
/// What YaRN multiplies queries and keys by, for a context that is `factor` times as long.
float yarn_amplitude(float factor, float mscale);

/// qwen2 and qwen3: the window counts only with use_sliding_window, from layer max_window_layers on, or where
/// layer_types says so. An absent sliding_window is 4096; null means none.
Status read_optional_window(const ConfigFields& fields, int default_max_window_layers, engine::ModelConfig& config);

/// Families whose layers alternate between windows and the whole context: layer_types says which, or without it every
/// `period`-th layer sees all. null for sliding_window means none.
Status read_alternating_windows(const ConfigFields& fields, int default_window, int period, engine::ModelConfig& config);

/// Makes `layer` a mixture. kInvalidArgument when more experts are active than there are.
Status make_mixture(const ConfigFields& fields, const char* experts_field, int n_experts, int n_active, int hidden_dim,
                    engine::LayerConfig& layer);

/// qwen2_moe and qwen3_moe: every decoder_sparse_step-th layer is a mixture, but for those of mlp_only_layers.
struct SparseLayerDefaults {
  const char* experts_field;
  int n_experts, n_active, hidden_dim;
};
Status read_sparse_layers(const ConfigFields& fields, const SparseLayerDefaults& defaults, engine::ModelConfig& config);

/// deepseek and glm4_moe: n_routed_experts beside n_shared_experts taken together, in all layers from
/// first_k_dense_replace on; groups, normalisation and scaling of the choice. topk_method and scoring_func count where
/// they are there.
struct RoutedExpertDefaults {
  const char* method;  // topk_method
  const char* score;   // scoring_func
  int n_active, hidden_dim, n_shared, first_sparse_layer;
  bool normalize;
  int n_groups = 1, n_active_groups = 1;
  float scaling = 1.0f;
};
Status read_routed_experts(const ConfigFields& fields, const RoutedExpertDefaults& defaults, engine::ModelConfig& config);

}  // namespace colonnade::shard
