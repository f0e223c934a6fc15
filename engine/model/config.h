// What a model is, in the words that all families share. A family (shard/family*) maps its own names and defaults
// to this; nothing later asks which family it was.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace colonnade::engine {

enum class RopeScaling : std::uint32_t { kNone = 0, kLinear = 1, kLlama3 = 2, kYarn = 3 };

struct RopeConfig {
  float theta = 10000.0f;
  int rotary_dim = 0;  // of head_dim; half-split pairs
  RopeScaling scaling = RopeScaling::kNone;
  float factor = 1.0f;
  float low_freq_factor = 1.0f;     // llama3
  float high_freq_factor = 4.0f;    // llama3
  int original_context_tokens = 0;  // llama3, yarn
  float beta_fast = 32.0f;          // yarn: rotations over the original context; frequencies with more stay
  float beta_slow = 1.0f;           // with fewer are divided by factor, between the two blended
  bool whole_pairs = true;          // yarn: the bounds of the blend are rounded outwards to whole pairs
  float amplitude = 1.0f;           // of the rotation: of queries and keys alike
  std::vector<float> factors = {};  // by which the frequency of each pair is divided as well; empty: none
};

/// What an expert's score is made of its logit: softmax over all experts, or its sigmoid.
enum class RouterScore : std::uint32_t { kSoftmax = 0, kSigmoid = 1 };
/// What a group of experts is worth: its best score, or the sum of its two best.
enum class GroupScore : std::uint32_t { kBest = 0, kTwoBest = 1 };

/// How the scores of a mixture become a choice and weights, in this order.
struct RouterConfig {
  RouterScore score = RouterScore::kSoftmax;
  bool logit_bias = false;       // a number for each expert, added to its logit
  bool correction_bias = false;  // a number for each expert, added to its score in the choice only
  int n_groups = 1;              // equal runs of experts
  int n_active_groups = 1;       // the best of them, from which experts are chosen
  GroupScore group_score = GroupScore::kBest;
  bool normalize = true;         // weights (the chosen scores) are divided by their sum
  float scaling = 1.0f;          // and multiplied by this
  bool weighs_input = false;     // a weight multiplies what its expert reads, not what it gives
};

/// What an encoder's answer for a sequence is made of.
enum class Pooling : std::uint32_t { kMean = 0, kFirst = 1 };

/// What makes a neuron's value of its gate g and up u.
enum class Activation : std::uint32_t {
  kSilu = 0,          // g / (1 + exp(-g)) * u
  kGeluTanh = 1,      // gelu(g) * u, gelu by its tanh form
  kGeluErf = 3,       // gelu(g) by the error function; there is no u
  kClampedSwish = 2,  // h / (1 + exp(-steepness * h)) * (v + 1), where h = min(g, limit) and v is u within ± limit
};

/// One layer. A dense feed-forward is a mixture with one expert.
struct LayerConfig {
  int hidden_dim = 0;         // neurons of one expert
  int n_experts = 1;
  int n_active = 1;
  int window_tokens = 0;      // sliding window: key j is visible to i iff i - j < window; 0: all
  bool window_chunks = false; // instead: iff both lie in the same run of window_tokens positions
  int shared_hidden_dim = 0;  // neurons of the expert that every token uses besides the chosen ones; 0: none
  bool shared_gate = false;   // weighted by a sigmoid of the input instead of 1
  int rope = 0;               // 0: ModelConfig::rope; n: more_ropes[n - 1]; -1: none

  bool has_router() const { return n_experts > 1; }
  bool has_shared() const { return shared_hidden_dim > 0; }
  /// As an expert, the shared one comes after those that are chosen.
  int shared_expert() const { return n_experts; }
};

/// Multi-head latent attention: all heads share one latent row and one rotated key of each position, which are what is cached.
struct LatentConfig {
  int dim = 0;         // of the latent, a multiple of 16; 0: ordinary attention
  int rotary_dim = 0;  // of the rotated key
  int query_dim = 0;   // of the latent that queries come from; 0: they come from the block's input
  int plain_dim = 0;   // of a head's query without its rotated part
  int value_dim = 0;   // of what a head gives to the output projection
  float norm_eps = 1e-6f;

  bool used() const { return dim > 0; }
  int cached_dim() const { return dim + rotary_dim; }
  int query_rows() const { return plain_dim + rotary_dim; }
};

struct ModelConfig {
  std::string family;  // "qwen3_moe": for people
  int dim = 0;
  int n_layers = 0;
  int n_heads = 0;
  int n_kv_heads = 0;  // 1 with latents
  int head_dim = 0;    // of a cached key; with latents their cached_dim()
  int vocab_size = 0;
  int max_context_tokens = 0;
  float norm_eps = 1e-5f;
  LatentConfig latent;
  RopeConfig rope;
  std::vector<RopeConfig> more_ropes;  // that some layers use instead
  bool qkv_bias = false;
  bool output_bias = false;          // on the attention output
  bool qk_norm = false;              // RMS norm of each query and key head before rope
  bool qk_norm_joint = false;        // over all query heads together, and all key heads
  bool qk_unit_norm = false;         // RMS norm without weights of each query and key head that is rotated
  // Queries of layers without rope are multiplied by 1 + query_growth * log(1 + floor((position + 1) / query_growth_tokens)).
  float query_growth = 0.0f;         // 0: they are not
  int query_growth_tokens = 1;
  bool tied_embeddings = false;
  RouterConfig router;
  Activation activation = Activation::kSilu;
  float activation_limit = 0.0f;      // of kClampedSwish
  float activation_steepness = 0.0f;  // of kClampedSwish
  bool neuron_bias = false;          // on gate, up and down of feed-forwards and experts, the shared one excepted
  bool layer_norms = false;          // norms take the mean off and have biases
  bool norm_after = false;           // norms are those of the residual stream after a block has been added; none before
  bool position_embeddings = false;  // learned, one for each position, added to the token's; then a norm
  int n_token_types = 1;             // with position_embeddings: each has an embedding, too
  bool encoder = false;              // tokens see their whole sequence, which is one step; vectors in place of logits
  Pooling pooling = Pooling::kMean;  // of an encoder
  bool unit_length = false;          // pooled vectors are divided by their length
  bool attention_sinks = false;      // a score for each query head that takes its share of the softmax and gives nothing
  bool post_norms = false;           // RMS norm of what a block gives, before it is added to the residual stream
  float embedding_scale = 1.0f;      // of embeddings as they enter the residual stream
  float residual_scale = 1.0f;       // of what a block adds to it
  float attention_scale = 0.0f;      // of scores; 0: 1 / sqrt(head_dim)
  float attention_soft_cap = 0.0f;   // scores become c * tanh(score / c); 0: they stay
  float logit_scale = 1.0f;
  float logit_soft_cap = 0.0f;       // 0: none
  std::vector<LayerConfig> layers;   // n_layers

  /// Not of the model but of how it was packed: neurons of one feed-forward path, at least.
  int neuron_group = 256;
  /// Likewise: query heads whose columns of the output projection are one matrix. At most those of a KV head, or those of several
  /// whole KV heads, which are one path then. More than one only where what a head gives fills whole strips.
  int output_heads = 1;

  /// Neurons have an up beside their gate.
  bool gated() const { return activation != Activation::kGeluErf; }
  /// Of what attention finds for a query.
  int attended_dim() const { return latent.used() ? latent.dim : head_dim; }
  int query_heads_per_kv() const { return n_heads / n_kv_heads; }
  /// Of what a query head gives to the output projection.
  int value_dim() const { return latent.used() ? latent.value_dim : head_dim; }
  /// KV heads of an attention path; the last path of a layer may have fewer.
  int kv_heads_of_path() const { return output_heads > query_heads_per_kv() ? output_heads / query_heads_per_kv() : 1; }
  int query_norm_dim() const { return qk_norm_joint ? n_heads * head_dim : head_dim; }
  int key_norm_dim() const { return qk_norm_joint ? n_kv_heads * head_dim : head_dim; }
  /// The widest window of a layer that has one; 0: there is none, or nothing is kept.
  int window_reach() const {
    int widest = 0;
    for (const LayerConfig& layer : layers) widest = layer.window_tokens > widest ? layer.window_tokens : widest;
    return encoder ? 0 : widest;
  }
};

}  // namespace colonnade::engine
