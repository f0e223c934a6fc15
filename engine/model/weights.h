// The weights of one rank as the forward pass sees them: views into blobs that somebody else owns and keeps alive.
// Built by shard/slice.h from a manifest and a plan. Read-only, so thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/formats/format.h"

namespace colonnade::engine {

/// Some KV-head groups, or some query heads of one. Contributes sum over its heads of o[h] * attention(q[h], k, v). With latents:
/// all heads, or some of them.
struct AttentionPath {
  int kv_head = 0;                   // the first one, in the model
  int first_head = 0;                // query head of the model
  int kv_slot = 0;                   // which of the rank's KV heads of this layer cache its keys and values, the first one
  std::vector<MatrixView> key;       // per KV head: (head_dim, dim)
  std::vector<MatrixView> value;     // per KV head: (head_dim, dim)
  std::vector<MatrixView> query;     // per query head, those of a KV head together: (head_dim, dim)
  std::vector<MatrixView> output;    // per ModelConfig::output_heads query heads, which lie side by side: (dim, heads * head_dim)
  // With latents there is neither key nor value; query is (query_rows, query_dim or dim), output (dim, heads * value_dim).
  std::vector<MatrixView> into_latent;    // per query head: (latent dim, plain_dim)
  std::vector<MatrixView> out_of_latent;  // per query head: (value_dim, latent dim)
  std::vector<const float*> query_bias;  // per query head: head_dim, or empty
  std::vector<const float*> key_bias;    // per KV head: head_dim, or empty
  std::vector<const float*> value_bias;
  const float* sinks = nullptr;      // per query head: ModelConfig::attention_sinks, or nullptr
};

/// Some rows of the projection to the latent of queries (query_dim, dim), or to the latent and rotated key (cached_dim, dim).
struct LatentPath {
  bool of_query = false;
  int first_row = 0;
  MatrixView rows;
};

/// A group of neurons of one expert (expert 0 of a dense layer) or of the shared expert.
struct FeedForwardPath {
  int expert = 0;   // of LayerConfig::n_experts; the shared one comes after them
  bool shared = false;
  MatrixView gate;  // (n_neurons, dim)
  MatrixView up;    // (n_neurons, dim); empty where neurons have none
  MatrixView down;  // (dim, n_neurons)
  const float* gate_bias = nullptr;  // n_neurons, or nullptr
  const float* up_bias = nullptr;
  const float* down_bias = nullptr;  // dim, or nullptr; held with the expert's first neurons
};

struct LayerWeights {
  const float* attention_norm = nullptr;     // dim
  const float* feed_forward_norm = nullptr;  // dim
  const float* attention_post_norm = nullptr;     // dim, or nullptr: of what the block gives
  const float* feed_forward_post_norm = nullptr;  // dim, or nullptr
  const float* query_norm = nullptr;         // ModelConfig::query_norm_dim(), or nullptr
  const float* key_norm = nullptr;           // ModelConfig::key_norm_dim(), or nullptr
  const float* attention_norm_bias = nullptr;     // dim, or nullptr: ModelConfig::layer_norms
  const float* feed_forward_norm_bias = nullptr;
  const float* output_bias = nullptr;        // dim, or nullptr; added once, where the residual is
  const float* router = nullptr;             // (n_experts, dim), or nullptr
  const float* router_logit_bias = nullptr;  // n_experts, or nullptr
  const float* router_bias = nullptr;        // n_experts, or nullptr: RouterConfig::correction_bias
  const float* shared_gate = nullptr;        // dim, or nullptr: LayerConfig::shared_gate
  const float* query_latent_norm = nullptr;  // LatentConfig::query_dim, or nullptr
  const float* latent_norm = nullptr;        // LatentConfig::dim, or nullptr
  std::vector<LatentPath> latents;           // with latents; attention then has at most one path
  std::vector<AttentionPath> attention;
  std::vector<FeedForwardPath> feed_forward; // in plan order: (neuron group, expert), shared
  int n_kv_slots = 0;
};

/// Rows [first_token, first_token + rows.rows) of the embedding or of the output head.
struct VocabularyPath {
  int first_token = 0;
  MatrixView rows;  // (n_tokens, dim)
};

struct RankWeights {
  int first_layer = 0;                     // of the model; layers.size() layers from here
  std::vector<LayerWeights> layers;
  bool first_stage = false;                // this stage embeds
  bool last_stage = false;                 // this stage has the head
  std::vector<VocabularyPath> embedding;   // this rank's part, first stage only
  std::vector<VocabularyPath> head;        // this rank's part, last stage only; ascending tokens, contiguous
  const float* final_norm = nullptr;       // dim, last stage only
  // First stage only, with ModelConfig::position_embeddings.
  const float* positions = nullptr;            // (max_context_tokens, dim)
  const float* embedding_norm = nullptr;       // dim
  const float* embedding_norm_bias = nullptr;  // dim
  const float* token_types = nullptr;          // (n_token_types - 1, dim): what types from 1 on have more than type 0
};

}  // namespace colonnade::engine
