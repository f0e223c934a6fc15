// Model shapes for tests of paths, plans and slices.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "engine/model/config.h"

namespace colonnade::tests {

struct Shape {
  int dim, n_layers, n_heads, n_kv_heads, head_dim, hidden_dim, vocab_size;
  int n_experts = 1, n_active = 1;
  bool tied = false, qkv_bias = false, output_bias = false, qk_norm = false;
};

inline engine::ModelConfig make_config(const Shape& s) {
  engine::ModelConfig config;
  config.family = "test";
  config.dim = s.dim;
  config.n_layers = s.n_layers;
  config.n_heads = s.n_heads;
  config.n_kv_heads = s.n_kv_heads;
  config.head_dim = s.head_dim;
  config.vocab_size = s.vocab_size;
  config.max_context_tokens = 4096;
  config.rope.rotary_dim = s.head_dim;
  config.tied_embeddings = s.tied;
  config.qkv_bias = s.qkv_bias;
  config.output_bias = s.output_bias;
  config.qk_norm = s.qk_norm;
  config.layers.assign(static_cast<std::size_t>(s.n_layers),
                       {.hidden_dim = s.hidden_dim, .n_experts = s.n_experts, .n_active = s.n_active});
  return config;
}

/// A small or middling random shape; the same for the same state of `random`.
inline engine::ModelConfig random_config(std::mt19937& random) {
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  Shape s{};
  s.dim = 8 * pick(4, 64);
  s.n_layers = pick(1, 12);
  s.n_kv_heads = pick(1, 8);
  s.n_heads = s.n_kv_heads * pick(1, 8);
  s.head_dim = 8 * pick(1, 8);
  s.hidden_dim = pick(16, 3000);
  s.vocab_size = pick(100, 9000);
  if (pick(0, 1) == 1) {
    s.n_experts = pick(2, 12);
    s.n_active = pick(1, s.n_experts);
  }
  s.tied = pick(0, 1) == 1;
  s.qkv_bias = pick(0, 1) == 1;
  s.output_bias = pick(0, 1) == 1;
  s.qk_norm = pick(0, 1) == 1;
  engine::ModelConfig config = make_config(s);
  // Some models begin with dense layers.
  if (s.n_experts > 1 && pick(0, 2) == 0) config.layers[0] = {.hidden_dim = 3 * s.hidden_dim};
  return config;
}

/// Shapes of real models that have all of dense, mixture, tied, few and many KV heads.
struct NamedConfig {
  std::string name;
  engine::ModelConfig config;
};
inline std::vector<NamedConfig> large_configs() {
  engine::ModelConfig deepseek = make_config({7168, 61, 128, 128, 128, 2048, 129280, 257, 9});
  for (std::size_t l = 0; l < 3; ++l) deepseek.layers[l] = {.hidden_dim = 18432};
  return {{"llama-3.2-1b", make_config({2048, 16, 32, 8, 64, 8192, 128256, 1, 1, true})},
          {"llama-3.1-405b", make_config({16384, 126, 128, 8, 128, 53248, 128256})},
          {"mixtral-8x7b", make_config({4096, 32, 32, 8, 128, 14336, 32000, 8, 2})},
          {"qwen3-30b-a3b", make_config({2048, 48, 32, 4, 128, 768, 151936, 128, 8, false, false, false, true})},
          {"shape of deepseek-v3", deepseek}};
}

}  // namespace colonnade::tests
