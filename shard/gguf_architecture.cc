#include "shard/gguf_architecture.h"

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

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

std::span<const GgufModule> shared_gguf_modules() {
  static const std::vector<GgufModule> modules{
      {&TensorNames::attention_norm, "attn_norm"},
      {&TensorNames::feed_forward_norm, "ffn_norm"},
      {&TensorNames::query, "attn_q"},
      {&TensorNames::key, "attn_k"},
      {&TensorNames::value, "attn_v"},
      {&TensorNames::query_key_value, "attn_qkv"},
      {&TensorNames::output, "attn_output"},
      {&TensorNames::query_norm, "attn_q_norm"},
      {&TensorNames::key_norm, "attn_k_norm"},
      {&TensorNames::router, "ffn_gate_inp"},
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
    if (architecture.only_with == nullptr || header.find(text(*name, ".", architecture.only_with)) != nullptr) return &architecture;
  }
  return Error{ErrorCode::kUnsupported, text(where, ": GGUF architecture ", *name, " is not supported; supported are ", known)};
}

}  // namespace colonnade::shard
