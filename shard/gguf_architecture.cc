#include "shard/gguf_architecture.h"

#include <algorithm>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

/// A field that metadata gave, or 0 where it is no count: the family says then what it expects.
int count_of(const Json& config, const char* field) {
  const auto at = config.find(field);
  constexpr std::uint64_t kMost = 1u << 24;
  return at != config.end() && at->is_number_unsigned() && at->get<std::uint64_t>() <= kMost ? at->get<int>() : 0;
}

/// The scale of scores is that of the heads, but of the width over the heads in the largest (27B) of both generations.
void complete_gemma(Json& config) {
  const int layers = count_of(config, "num_hidden_layers"), heads = count_of(config, "num_attention_heads");
  const bool largest = layers == 46 || layers == 62;
  config["query_pre_attn_scalar"] = largest && heads > 0 ? count_of(config, "hidden_size") / heads : count_of(config, "head_dim");
}

std::vector<GgufKey> granite_keys(std::vector<GgufKey> more = {}) {
  for (const GgufKey key : {GgufKey{"attention.scale", "attention_multiplier"}, GgufKey{"embedding_scale", "embedding_multiplier"},
                            GgufKey{"residual_scale", "residual_multiplier"}, GgufKey{"logit_scale", "logits_scaling"}})
    more.push_back(key);
  return more;
}

/// Heads are told by the length of whole keys, of which the rotated part is the end. Fields that other families have say other
/// things here.
void complete_deepseek(Json& config) {
  const int key = count_of(config, config.contains("key_length_mla") ? "key_length_mla" : "head_dim"), rotated = count_of(config, "qk_rope_head_dim");
  config["qk_nope_head_dim"] = std::max(key - rotated, 0);
  if (!config.contains("q_lora_rank")) config["q_lora_rank"] = nullptr;
  if (count_of(config, "n_group") > 1 && config["model_type"] == "deepseek_v2") config["topk_method"] = "group_limited_greedy";
  for (const char* other : {"head_dim", "key_length_mla", "partial_rotary_factor"}) config.erase(other);
}

std::vector<GgufKey> deepseek_keys() {
  return {{"attention.q_lora_rank", "q_lora_rank"},
          {"attention.kv_lora_rank", "kv_lora_rank"},
          {"attention.value_length", "v_head_dim"},
          {"attention.value_length_mla", "v_head_dim"},
          {"attention.key_length_mla", "key_length_mla"},
          {"rope.dimension_count", "qk_rope_head_dim"},
          {"expert_count", "n_routed_experts"},
          {"expert_used_count", "num_experts_per_tok"},
          {"expert_feed_forward_length", "moe_intermediate_size"},
          {"expert_shared_count", "n_shared_experts"},
          {"leading_dense_block_count", "first_k_dense_replace"},
          {"expert_group_count", "n_group"},
          {"expert_group_used_count", "topk_group"},
          {"expert_weights_scale", "routed_scaling_factor"},
          {"expert_weights_norm", "norm_topk_prob", GgufKeyKind::kFlag}};
}

/// Whether an entry is that of a header of its architecture.
bool applies(const GgufArchitecture& architecture, const GgufHeader& header) {
  if (architecture.only_with == nullptr) return true;
  const GgufValue* value = header.find(text(architecture.name, ".", architecture.only_with));
  if (value == nullptr) return false;
  const auto* number = std::get_if<std::int64_t>(value);
  return architecture.with_value < 0 || (number != nullptr && *number == architecture.with_value);
}

const std::vector<GgufArchitecture>& architectures() {
  // Of entries with one name the first that applies counts.
  static const std::vector<GgufArchitecture> all{
      {.name = "llama",
       .model_type = "mixtral",
       .only_with = "expert_count",
       .keys = {{"expert_count", "num_local_experts"}, {"expert_used_count", "num_experts_per_tok"}, {"attention.sliding_window", "sliding_window"}},
       .rotates_neighbours = true},
      {.name = "llama",
       .model_type = "mistral",
       .only_with = "attention.sliding_window",
       .keys = {{"attention.sliding_window", "sliding_window"}},
       .rotates_neighbours = true},
      {.name = "llama", .model_type = "llama", .rotates_neighbours = true},
      {.name = "qwen2", .model_type = "qwen2"},
      {.name = "qwen3", .model_type = "qwen3"},
      {.name = "qwen3moe",
       .model_type = "qwen3_moe",
       .keys = {{"expert_count", "num_experts"},
                {"expert_used_count", "num_experts_per_tok"},
                {"expert_feed_forward_length", "moe_intermediate_size"}},
       .implied = {{"norm_topk_prob", "true"}, {"decoder_sparse_step", "1"}}},
      {.name = "qwen2moe",
       .model_type = "qwen2_moe",
       .keys = {{"expert_count", "num_experts"},
                {"expert_used_count", "num_experts_per_tok"},
                {"expert_feed_forward_length", "moe_intermediate_size"},
                {"expert_shared_feed_forward_length", "shared_expert_intermediate_size"}},
       .implied = {{"norm_topk_prob", "false"}, {"decoder_sparse_step", "1"}}},
      {.name = "olmoe",
       .model_type = "olmoe",
       .keys = {{"expert_count", "num_experts"}, {"expert_used_count", "num_experts_per_tok"}},
       .implied = {{"norm_topk_prob", "false"}}},
      {.name = "glm4moe",
       .model_type = "glm4_moe",
       .keys = {{"expert_count", "n_routed_experts"},
                {"expert_used_count", "num_experts_per_tok"},
                {"expert_feed_forward_length", "moe_intermediate_size"},
                {"expert_shared_count", "n_shared_experts"},
                {"leading_dense_block_count", "first_k_dense_replace"},
                {"expert_group_count", "n_group"},
                {"expert_group_used_count", "topk_group"},
                {"expert_weights_scale", "routed_scaling_factor"},
                {"expert_weights_norm", "norm_topk_prob", GgufKeyKind::kFlag}}},
      // Scores of experts by sigmoid, or (also where the key is missing) by softmax.
      {.name = "deepseek2",
       .model_type = "deepseek_v3",
       .only_with = "expert_gating_func",
       .with_value = 2,
       .keys = deepseek_keys(),
       .implied = {{"n_group", "1"}, {"topk_group", "1"}, {"routed_scaling_factor", "1.0"}},
       .complete = complete_deepseek},
      {.name = "deepseek2", .model_type = "deepseek_v2", .keys = deepseek_keys(), .complete = complete_deepseek},
      {.name = "gpt-oss",
       .model_type = "gpt_oss",
       .keys = {{"expert_count", "num_local_experts"}, {"expert_used_count", "num_experts_per_tok"}, {"attention.sliding_window", "sliding_window"}}},
      {.name = "gemma2",
       .model_type = "gemma2",
       .keys = {{"attention.sliding_window", "sliding_window"},
                {"attn_logit_softcapping", "attn_logit_softcapping"},
                {"final_logit_softcapping", "final_logit_softcapping"}},
       .complete = complete_gemma,
       .norms_with_offset = true},
      {.name = "gemma3",
       .model_type = "gemma3_text",
       .keys = {{"attention.sliding_window", "sliding_window"}},
       .complete = complete_gemma,
       .norms_with_offset = true},
      {.name = "granite",
       .model_type = "granite",
       .keys = granite_keys(),
       .rotates_neighbours = true},
      {.name = "granitemoe",
       .model_type = "granitemoe",
       .keys = granite_keys({{"expert_count", "num_local_experts"}, {"expert_used_count", "num_experts_per_tok"}}),
       .rotates_neighbours = true},
      {.name = "bert",
       .model_type = "bert",
       .keys = {{"attention.layer_norm_epsilon", "layer_norm_eps"}},
       .implied = {{"type_vocab_size", "1"}},  // what is said of them is not reliable; other types than 0 are never asked for
       .modules = {{&TensorNames::attention_norm, "attn_output_norm"},
                   {&TensorNames::feed_forward_norm, "layer_output_norm"},
                   {&TensorNames::dense_gate, "ffn_up"},
                   {&TensorNames::dense_down, "ffn_down"}}},
      {.name = "phi3", .model_type = "phi3", .keys = {{"attention.sliding_window", "sliding_window"}}},
  };
  return all;
}

}  // namespace

std::span<const GgufKey> shared_gguf_keys() {
  static const std::vector<GgufKey> keys{
      {"block_count", "num_hidden_layers"},
      {"embedding_length", "hidden_size"},
      {"feed_forward_length", "intermediate_size"},
      {"context_length", "max_position_embeddings"},
      {"attention.head_count", "num_attention_heads"},
      {"attention.head_count_kv", "num_key_value_heads"},
      {"attention.key_length", "head_dim"},
      {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
      {"rope.freq_base", "rope_theta"},
  };
  return keys;
}

std::span<const GgufModule> outer_gguf_modules() {
  static const std::vector<GgufModule> modules{
      {&TensorNames::embedding, "token_embd"},   {&TensorNames::final_norm, "output_norm"}, {&TensorNames::head, "output"},
      {&TensorNames::positions, "position_embd"}, {&TensorNames::token_type, "token_types"}, {&TensorNames::embedding_norm, "token_embd_norm"},
  };
  return modules;
}

std::span<const GgufModule> shared_gguf_modules() {
  static const std::vector<GgufModule> modules{
      {&TensorNames::attention_norm, "attn_norm"},
      {&TensorNames::feed_forward_norm, "ffn_norm"},
      {&TensorNames::query, "attn_q"},
      {&TensorNames::key, "attn_k"},
      {&TensorNames::value, "attn_v"},
      {&TensorNames::query_key_value, "attn_qkv"},
      {&TensorNames::output, "attn_output"},
      {&TensorNames::query_latent, "attn_q_a"},
      {&TensorNames::query_latent_norm, "attn_q_a_norm"},
      {&TensorNames::query_of_latent, "attn_q_b"},
      {&TensorNames::latent, "attn_kv_a_mqa"},
      {&TensorNames::latent_norm, "attn_kv_a_norm"},
      {&TensorNames::heads_of_latent, "attn_kv_b"},
      {&TensorNames::query_norm, "attn_q_norm"},
      {&TensorNames::key_norm, "attn_k_norm"},
      {&TensorNames::attention_post_norm, "post_attention_norm"},
      {&TensorNames::feed_forward_post_norm, "post_ffw_norm"},
      {&TensorNames::sinks, "attn_sinks", true},
      {&TensorNames::router, "ffn_gate_inp"},
      {&TensorNames::router_bias, "exp_probs_b", true},
      {&TensorNames::shared_gate, "ffn_gate_inp_shexp"},
  };
  return modules;
}

Result<const GgufArchitecture*> gguf_architecture_of(const GgufHeader& header, std::string_view where) {
  COLONNADE_ASSIGN(const auto name, header.string("general.architecture"));
  if (!name) return Error{ErrorCode::kCorrupt, text(where, ": expected the GGUF key general.architecture, found none")};
  std::string known;
  for (const GgufArchitecture& architecture : architectures()) {
    if (!known.ends_with(architecture.name)) known += text(known.empty() ? "" : ", ", architecture.name);
    if (*name != architecture.name) continue;
    if (applies(architecture, header)) return &architecture;
  }
  return Error{ErrorCode::kUnsupported, text(where, ": GGUF architecture ", *name, " is not supported; supported are ", known)};
}

}  // namespace colonnade::shard
