#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "engine/base/json.h"
#include "shard/family.h"
#include "shard/hf_config.h"
#include "shard/source_model.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

/// A golden's config.json with some fields changed; null removes a field.
Json changed(const std::string& name, const Json& changes) {
  Json config = parse_json(read_file(golden(name) / "config.json"), name).value();
  for (const auto& [key, value] : changes.items()) {
    if (value == "remove") config.erase(key);
    else config[key] = value;
  }
  return config;
}

engine::ModelConfig read(const std::string& name, const Json& changes = Json::object()) {
  const auto config = shard::parse_model_config(dump_json(changed(name, changes)), "config.json");
  INFO((config.ok() ? "" : config.error().message));
  REQUIRE(config.ok());
  return *config;
}

std::string refusal(const std::string& name, const Json& changes) {
  const auto config = shard::parse_model_config(dump_json(changed(name, changes)), "config.json");
  REQUIRE_FALSE(config.ok());
  CHECK_THAT(config.error().message, Contains("config.json"));
  CHECK(config.error().message.find('\n') == std::string::npos);
  return config.error().message;
}

std::vector<int> windows(const engine::ModelConfig& config) {
  std::vector<int> out;
  for (const engine::LayerConfig& layer : config.layers) out.push_back(layer.window_tokens);
  return out;
}

}  // namespace

TEST_CASE("Every published configuration is read with the right size, or refused by its architecture") {
  COLONNADE_SHARED_PATH(configs, "data/configs");
  const Json expected = parse_json(read_file(configs / "expected_parameters.json"), "expected").value();
  int n_read = 0, n_refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(configs)) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() != ".json" || name == "expected_parameters.json") continue;
    INFO(name);
    const Json json = parse_json(read_file(entry.path()), name).value();
    const auto config = shard::read_model_config(entry.path());
    const std::string type = json["model_type"].get<std::string>();
    const bool is_known = std::ranges::any_of(shard::all_families(), [&](const shard::Family* family) {
      return family->model_type == type || family->whole_model_type == type;
    });
    if (!is_known) {
      REQUIRE_FALSE(config.ok());
      CHECK(config.error().code == ErrorCode::kUnsupported);
      CHECK_THAT(config.error().message, Contains(json["architectures"][0].get<std::string>()));
      CHECK(config.error().message.find('\n') == std::string::npos);
      ++n_refused;
      continue;
    }
    REQUIRE(config.ok());
    const shard::ParameterCount count = shard::count_parameters(*config);
    ++n_read;
    if (!expected.contains(name)) continue;  // abridged by its source
    CHECK(count.total == expected[name]["total"].get<std::uint64_t>());
    CHECK(count.active == expected[name]["active"].get<std::uint64_t>());
  }
  CHECK(n_read == 23);
  CHECK(n_read + n_refused == 26);
}

TEST_CASE("llama: defaults where the configuration is silent, rope scaling") {
  const auto llama = read("llama");
  CHECK(llama.rope.theta == 10000.0f);
  CHECK(llama.head_dim == 16);
  CHECK(llama.rope.rotary_dim == 16);
  CHECK_FALSE(llama.qkv_bias);
  CHECK(read("llama", {{"num_key_value_heads", "remove"}}).n_kv_heads == 4);
  CHECK(read("llama", {{"attention_bias", true}}).output_bias);

  const auto llama3 = read("llama3");
  CHECK(llama3.tied_embeddings);
  CHECK(llama3.head_dim == 32);
  CHECK(llama3.rope.scaling == engine::RopeScaling::kLlama3);
  CHECK(llama3.rope.factor == 32.0f);
  CHECK(llama3.rope.original_context_tokens == 64);

  const auto linear = read("llama", {{"rope_scaling", {{"type", "linear"}, {"factor", 2.5}}}});
  CHECK(linear.rope.scaling == engine::RopeScaling::kLinear);
  CHECK(linear.rope.factor == 2.5f);
  const auto newer = read("llama", {{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 7.0}}}});
  CHECK(newer.rope.theta == 7.0f);
}

TEST_CASE("rope: the older object wins where both are there, and what an object asks for is not lost") {
  const Json linear = {{"type", "linear"}, {"factor", 2.0}};
  const auto both = read("llama", {{"rope_scaling", linear}, {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 7.0}}}, {"rope_theta", 5.0}});
  CHECK(both.rope.scaling == engine::RopeScaling::kLinear);
  CHECK(both.rope.theta == 5.0f);
  const auto empty = read("llama", {{"rope_scaling", Json::object()}, {"rope_parameters", {{"rope_theta", 7.0}, {"factor", nullptr}}}, {"rope_theta", 5.0}});
  CHECK(empty.rope.scaling == engine::RopeScaling::kNone);
  CHECK(empty.rope.theta == 7.0f);
  CHECK(read("llama", {{"rope_scaling", {{"partial_rotary_factor", 1.0}}}}).rope.scaling == engine::RopeScaling::kNone);

  CHECK_THAT(refusal("llama", {{"rope_scaling", {{"factor", 8.0}}}}), Contains("rope_scaling: \"factor\" is not supported"));
  CHECK_THAT(refusal("llama", {{"rope_parameters", {{"full_attention", {{"rope_theta", 7.0}}}}}}),
             Contains("rope_parameters: \"full_attention\" is not supported"));
  CHECK_THAT(refusal("llama", {{"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}}}),
             Contains("rope_parameters: field partial_rotary_factor") && Contains("0.5"));
}

TEST_CASE("rope: yarn, with what is switched off by 0 and what is not said") {
  const auto yarn = [](Json more) {
    Json object = {{"type", "yarn"}, {"factor", 40}, {"original_max_position_embeddings", 64}};
    object.update(more);
    return read("llama", {{"rope_scaling", object}}).rope;
  };
  const auto plain = yarn(Json::object());
  CHECK(plain.scaling == engine::RopeScaling::kYarn);
  CHECK(plain.original_context_tokens == 64);
  CHECK(plain.beta_fast == 32.0f);
  CHECK(plain.whole_pairs);
  CHECK(plain.amplitude == Approx(0.1 * std::log(40.0) + 1));
  CHECK(yarn({{"mscale", 0.707}, {"mscale_all_dim", 0.707}}).amplitude == 1.0f);
  CHECK(yarn({{"mscale", 1.0}, {"mscale_all_dim", 0}}).amplitude == plain.amplitude);
  CHECK(yarn({{"attention_factor", 1.5}, {"truncate", false}}).amplitude == 1.5f);
  CHECK_THAT(refusal("llama", {{"rope_scaling", {{"type", "yarn"}}}}), Contains("rope_scaling: field factor"));
  CHECK_THAT(refusal("llama", {{"rope_scaling", {{"type", "yarn"}, {"factor", 2}, {"beta_slow", 64}}}}), Contains("beta_slow"));
}

TEST_CASE("glm4_moe: dense layers first, then experts by sigmoids with a correction, part of a head rotated") {
  const auto glm = read("glm4_moe");
  CHECK(glm.rope.rotary_dim == 8);
  CHECK(glm.qk_norm);
  CHECK(glm.qkv_bias);
  CHECK_FALSE(glm.output_bias);
  CHECK(glm.n_layers == 3);
  CHECK_FALSE(glm.layers[0].has_router());
  CHECK_FALSE(glm.layers[0].has_shared());
  CHECK(glm.layers[0].hidden_dim == 128);
  CHECK(glm.layers[2].n_experts == 8);
  CHECK(glm.layers[2].n_active == 3);
  CHECK(glm.layers[2].shared_hidden_dim == 32);
  CHECK_FALSE(glm.layers[2].shared_gate);
  CHECK(glm.router.score == engine::RouterScore::kSigmoid);
  CHECK(glm.router.correction_bias);
  CHECK(glm.router.scaling == 2.5f);
  CHECK_FALSE(read("glm4_moe", {{"use_qk_norm", "remove"}}).qk_norm);
  CHECK_THAT(refusal("glm4_moe", {{"n_routed_experts", "remove"}}), Contains("n_routed_experts") && Contains("found nothing"));
  CHECK_THAT(refusal("glm4_moe", {{"n_group", 3}}), Contains("n_group") && Contains("divisor of n_routed_experts 8, found 3"));
  CHECK_THAT(refusal("glm4_moe", {{"n_group", 4}, {"topk_group", 1}}), Contains("topk_group") && Contains("3 experts, found 1"));
  CHECK_THAT(refusal("glm4_moe", {{"partial_rotary_factor", 0.6}}), Contains("partial_rotary_factor") && Contains("head_dim 16"));
  CHECK_THAT(refusal("glm4_moe", {{"scoring_func", "tanh"}}), Contains("scoring_func") && Contains("tanh"));
}

TEST_CASE("deepseek: latents for all heads, the scale of scores, groups of experts") {
  const auto v3 = read("deepseek_v3");
  CHECK(v3.latent.dim == 32);
  CHECK(v3.latent.query_dim == 32);
  CHECK(v3.latent.plain_dim == 32);
  CHECK(v3.latent.rotary_dim == 16);
  CHECK(v3.latent.value_dim == 32);
  CHECK(v3.n_kv_heads == 1);
  CHECK(v3.head_dim == 48);
  CHECK(v3.rope.rotary_dim == 16);
  CHECK(v3.rope.amplitude == 1.0f);
  const double amplitude = 0.1 * std::log(40.0) + 1;
  CHECK(v3.attention_scale == Approx(amplitude * amplitude / std::sqrt(48.0)));
  CHECK(read("deepseek_v3", {{"rope_scaling", nullptr}}).attention_scale == Approx(1 / std::sqrt(48.0)));
  CHECK(v3.router.score == engine::RouterScore::kSigmoid);
  CHECK(v3.router.scaling == 2.5f);
  CHECK(v3.layers[0].hidden_dim == 160);
  CHECK(v3.layers[1].shared_hidden_dim == 32);
  CHECK(v3.layers.size() == 3);  // the one for multi-token prediction is not among them
  CHECK(read("deepseek_v3", {{"model_type", "kimi_k2"}}).family == "kimi_k2");
  // What its class assumes of the choice of experts.
  const auto silent = read("deepseek_v3", {{"n_routed_experts", 16}, {"num_experts_per_tok", "remove"}, {"n_group", "remove"},
                                           {"topk_group", "remove"}, {"routed_scaling_factor", "remove"}});
  CHECK(silent.router.n_groups == 8);
  CHECK(silent.router.n_active_groups == 4);
  CHECK(silent.router.scaling == 2.5f);
  CHECK(silent.layers[1].n_active == 8);

  const auto v2 = read("deepseek_v2_group");
  CHECK(v2.latent.query_dim == 24);
  CHECK(read("deepseek_v2").latent.query_dim == 0);
  CHECK(v2.router.n_groups == 4);
  CHECK(v2.router.n_active_groups == 2);
  CHECK(v2.router.group_score == engine::GroupScore::kBest);
  CHECK_FALSE(v2.router.normalize);
  CHECK(v2.router.scaling == 4.0f);
  CHECK(v2.layers[1].shared_hidden_dim == 48);
  CHECK(read("deepseek_v2_group", {{"norm_topk_prob", true}}).router.scaling == 1.0f);
  CHECK(read("deepseek_v2", {{"n_group", 4}}).router.n_groups == 1);  // greedy

  CHECK_THAT(refusal("deepseek_v3", {{"kv_lora_rank", "remove"}}), Contains("field kv_lora_rank") && Contains("found nothing"));
  CHECK_THAT(refusal("deepseek_v3", {{"kv_lora_rank", 40}}), Contains("kv_lora_rank: expected a multiple of 16, found 40"));
  CHECK_THAT(refusal("deepseek_v3", {{"q_lora_rank", "remove"}}), Contains("field q_lora_rank") && Contains("found nothing"));
  CHECK_THAT(refusal("deepseek_v3", {{"v_head_dim", 0}}), Contains("v_head_dim") && Contains("found 0"));
  CHECK_THAT(refusal("deepseek_v3", {{"rope_interleave", false}}), Contains("rope_interleave"));
  CHECK_THAT(refusal("deepseek_v3", {{"attention_bias", true}}), Contains("attention_bias"));
  CHECK_THAT(refusal("deepseek_v3", {{"topk_method", "best"}}), Contains("topk_method") && Contains("best"));
  CHECK_THAT(refusal("deepseek_v3", {{"num_experts_per_tok", 9}}), Contains("num_experts_per_tok") || Contains("topk_group"));
  CHECK_THAT(refusal("deepseek_v3", {{"rope_scaling", {{"type", "longrope"}, {"factor", 2}}}}), Contains("longrope"));
}

TEST_CASE("olmoe: joint norms; qwen2_moe: a shared expert with a gate") {
  const auto olmoe = read("olmoe");
  CHECK(olmoe.qk_norm);
  CHECK(olmoe.query_norm_dim() == 64);
  CHECK_FALSE(olmoe.router.normalize);
  CHECK_THAT(refusal("olmoe", {{"clip_qkv", 8.0}}), Contains("clip_qkv"));
  const auto qwen = read("qwen2_moe", {{"mlp_only_layers", {0}}});
  CHECK(qwen.qkv_bias);
  CHECK_FALSE(qwen.layers[0].has_shared());
  CHECK(qwen.layers[1].shared_gate);
  CHECK(qwen.layers[1].shared_hidden_dim == 96);
}

TEST_CASE("num_key_value_heads: null is one for each query head, absent is the family's default") {
  for (const char* family : {"llama", "mistral", "mixtral", "qwen2", "qwen3"}) {
    CAPTURE(family);
    CHECK(read(family, {{"num_key_value_heads", nullptr}}).n_kv_heads == 4);
  }
  CHECK(read("mistral", {{"num_key_value_heads", "remove"}, {"num_attention_heads", 16}}).n_kv_heads == 8);
  CHECK(read("qwen2", {{"num_key_value_heads", "remove"}, {"num_attention_heads", 32}}).n_kv_heads == 32);
}

TEST_CASE("mistral: the window counts in all layers; absent is 4096, null is none") {
  CHECK(windows(read("mistral")) == std::vector<int>{8, 8, 8});
  CHECK(windows(read("mistral", {{"sliding_window", nullptr}})) == std::vector<int>{0, 0, 0});
  CHECK(windows(read("mistral", {{"sliding_window", "remove"}})) == std::vector<int>{4096, 4096, 4096});
}

TEST_CASE("qwen2 and qwen3: the window counts only where it is switched on") {
  const auto qwen2 = read("qwen2");
  CHECK(qwen2.qkv_bias);
  CHECK_FALSE(qwen2.output_bias);
  CHECK(windows(qwen2) == std::vector<int>{0, 0});
  CHECK(windows(read("qwen2", {{"use_sliding_window", true}, {"max_window_layers", 1}})) == std::vector<int>{0, 8});
  CHECK(windows(read("qwen2", {{"use_sliding_window", true}, {"layer_types", {"sliding_attention", "full_attention"}}})) ==
        std::vector<int>{8, 0});
  for (const char* family : {"qwen2", "qwen3", "qwen3_moe"}) {
    CAPTURE(family);
    const Json on = {{"use_sliding_window", true}, {"max_window_layers", 1}};
    Json absent = on, none = on;
    absent["sliding_window"] = "remove";
    none["sliding_window"] = nullptr;
    CHECK(windows(read(family, absent)).at(1) == 4096);
    CHECK(windows(read(family, none)).at(1) == 0);
  }
  const auto qwen3 = read("qwen3");
  CHECK(qwen3.qk_norm);
  CHECK_FALSE(qwen3.qkv_bias);
  CHECK(read("qwen3", {{"head_dim", "remove"}}).head_dim == 128);
}

TEST_CASE("mixtral and qwen3_moe: which layers are mixtures, and how weights are normalised") {
  const auto mixtral = read("mixtral");
  CHECK(mixtral.router.normalize);
  CHECK(mixtral.layers[0].n_experts == 8);
  CHECK(mixtral.layers[0].n_active == 2);
  CHECK(mixtral.layers[0].hidden_dim == 64);
  CHECK(windows(mixtral) == std::vector<int>{0, 0});

  const auto moe = read("qwen3_moe");
  CHECK(moe.router.normalize);
  CHECK(moe.layers[1].n_experts == 16);
  CHECK(moe.layers[1].hidden_dim == 32);
  CHECK_FALSE(read("qwen3_moe", {{"norm_topk_prob", "remove"}}).router.normalize);
  const auto some = read("qwen3_moe", {{"num_hidden_layers", 6}, {"decoder_sparse_step", 2}, {"mlp_only_layers", {3}}});
  std::vector<int> experts;
  for (const auto& layer : some.layers) experts.push_back(layer.n_experts);
  CHECK(experts == std::vector<int>{1, 16, 1, 1, 1, 16});
  CHECK(some.layers[0].hidden_dim == 192);

  CHECK(read("qwen3_moe", {{"num_experts", "remove"}, {"num_local_experts", 12}}).layers[0].n_experts == 12);
  CHECK(read("qwen3_moe", {{"num_local_experts", 12}}).layers[0].n_experts == 12);
  CHECK_THAT(refusal("qwen3_moe", {{"num_experts", "remove"}, {"num_local_experts", 1}}), Contains("field num_local_experts"));
}

TEST_CASE("phi3: the window counts in all layers; null or absent is none") {
  CHECK(windows(read("phi3")) == std::vector<int>{9, 9});
  CHECK(windows(read("phi3", {{"sliding_window", nullptr}})) == std::vector<int>{0, 0});
  CHECK(windows(read("phi3", {{"sliding_window", "remove"}})) == std::vector<int>{0, 0});
  CHECK_THAT(refusal("phi3", {{"attention_bias", true}}), Contains("attention_bias"));
  CHECK_THAT(refusal("phi3", {{"rope_scaling", {{"type", "longrope"}, {"short_factor", {1.0}}, {"long_factor", {1.0}}}}}),
             Contains("rope type longrope is not supported"));
}

TEST_CASE("granite: factors, 1 where absent") {
  const auto config = read("granitemoe");
  CHECK(config.embedding_scale == 2.0f);
  CHECK(config.residual_scale == 0.75f);
  CHECK(config.attention_scale == 0.09375f);
  CHECK(config.logit_scale == 1.0f / 1.5f);
  CHECK(config.layers[1].n_experts == 8);
  CHECK(config.layers[1].n_active == 4);
  CHECK(config.layers[1].hidden_dim == 48);
  const Json dense = {{"architectures", {"GraniteForCausalLM"}}, {"model_type", "granite"}, {"logits_scaling", "remove"},
                      {"residual_multiplier", "remove"}, {"attention_multiplier", "remove"}};
  const auto granite = read("granitemoe", dense);
  CHECK(granite.layers[0].n_experts == 1);
  CHECK(granite.attention_scale == 1.0f);
  CHECK(granite.residual_scale == 1.0f);
  CHECK(granite.logit_scale == 1.0f);
  CHECK_THAT(refusal("granitemoe", {{"residual_multiplier", -1}}), Contains("residual_multiplier") && Contains("above 0"));
  CHECK_THAT(refusal("granitemoe", {{"num_local_experts", 3}}), Contains("num_experts_per_tok") && Contains("3"));
}

TEST_CASE("gemma2: caps, windows in every second layer, gelu") {
  const auto config = read("gemma2");
  CHECK(config.attention_soft_cap == 50.0f);
  CHECK(config.logit_soft_cap == 30.0f);
  CHECK(config.embedding_scale == 8.0f);
  CHECK(config.attention_scale == 1.0f / std::sqrt(32.0f));
  CHECK(config.post_norms);
  CHECK(config.tied_embeddings);
  CHECK(config.activation == engine::Activation::kGeluTanh);
  CHECK(windows(config) == std::vector<int>{8, 0, 8, 0});
  CHECK(read("gemma2", {{"attn_logit_softcapping", nullptr}}).attention_soft_cap == 0.0f);
  CHECK(read("gemma2", {{"final_logit_softcapping", "remove"}}).logit_soft_cap == 30.0f);
  CHECK(windows(read("gemma2", {{"layer_types", {"full_attention", "full_attention", "full_attention", "sliding_attention"}}})) ==
        std::vector<int>{0, 0, 0, 8});
  CHECK_THAT(refusal("gemma2", {{"layer_types", {"full_attention"}}}), Contains("layer_types: expected a list of 4 names"));
  CHECK_THAT(refusal("gemma2", {{"hidden_activation", "relu2"}}), Contains("hidden_activation") && Contains("relu2"));
  CHECK_THAT(refusal("gemma2", {{"query_pre_attn_scalar", 0}}), Contains("query_pre_attn_scalar"));
}

TEST_CASE("gemma3: a rope for windowed layers, every sixth layer sees all") {
  const auto config = read("gemma3");
  CHECK(windows(config) == std::vector<int>{8, 8, 8, 8, 8, 0});
  CHECK(config.rope.theta == 1e6f);
  REQUIRE(config.more_ropes.size() == 1);
  CHECK(config.more_ropes[0].theta == 1e4f);
  CHECK(config.layers[0].rope == 1);
  CHECK(config.layers[5].rope == 0);
  CHECK(config.qk_norm);
  CHECK(config.attention_soft_cap == 0.0f);
  // The scaling is that of the layers that see all.
  const auto scaled = read("gemma3", {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}, {"sliding_window_pattern", 2}});
  CHECK(scaled.rope.factor == 8.0f);
  CHECK(scaled.more_ropes[0].scaling == engine::RopeScaling::kNone);
  CHECK(windows(scaled) == std::vector<int>{8, 0, 8, 0, 8, 0});
}

TEST_CASE("gemma3: ropes by type of layer, as transformers 5 writes them") {
  const Json moved = {{"rope_theta", "remove"}, {"rope_scaling", "remove"}, {"rope_local_base_freq", "remove"}};
  const auto with = [&](const Json& ropes) {
    Json changes = moved;
    changes["rope_parameters"] = ropes;
    return changes;
  };
  const auto config = read("gemma3", with({{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 2e6}}},
                                           {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 3e4}}}}));
  CHECK(config.rope.theta == 2e6f);
  CHECK(config.rope.factor == 8.0f);
  REQUIRE(config.more_ropes.size() == 1);
  CHECK(config.more_ropes[0].theta == 3e4f);
  CHECK(config.more_ropes[0].scaling == engine::RopeScaling::kNone);
  CHECK(config.layers[0].rope == 1);
  const auto of_one = read("gemma3", with({{"full_attention", {{"rope_type", "default"}}}}));
  CHECK(of_one.rope.theta == 1e6f);
  CHECK(of_one.more_ropes[0].theta == 1e4f);
  CHECK_THAT(refusal("gemma3", with({{"full_attention", Json::object()}, {"rope_theta", 1e6}})), Contains("rope_parameters"));
  CHECK_THAT(refusal("gemma3", with({{"sliding_attention", 5}})), Contains("rope_parameters: expected an object"));
  CHECK_THAT(refusal("gemma3", with({{"sliding_attention", {{"rope_type", "spiral"}}}})), Contains("spiral"));
}

TEST_CASE("gemma3: attention in both directions is refused") {
  CHECK(read("gemma3", {{"use_bidirectional_attention", false}}).family == "gemma3_text");
  CHECK_THAT(refusal("gemma3", {{"use_bidirectional_attention", true}}), Contains("use_bidirectional_attention: expected false"));
}

TEST_CASE("llama4: chunks and ropes by layer, queries that grow, experts in some layers") {
  const auto text = [](const Json& changes) {
    Json config = changed("llama4", Json::object())["text_config"];
    for (const auto& [key, value] : changes.items()) {
      if (value == "remove") config.erase(key);
      else config[key] = value;
    }
    return shard::parse_model_config(dump_json(config), "config.json");
  };
  const auto ropes = [](const engine::ModelConfig& config) {
    std::vector<int> out;
    for (const engine::LayerConfig& layer : config.layers) out.push_back(layer.rope);
    return out;
  };
  const auto config = read("llama4");
  CHECK(config.family == "llama4_text");
  CHECK(ropes(config) == std::vector<int>{0, 0, 0, -1});
  CHECK(windows(config) == std::vector<int>{8, 8, 8, 0});
  CHECK(config.layers[0].window_chunks);
  CHECK(config.qk_unit_norm);
  CHECK(config.query_growth == 0.5f);
  CHECK(config.query_growth_tokens == 4);
  CHECK(config.router.score == engine::RouterScore::kSigmoid);
  CHECK(config.router.weighs_input);
  CHECK_FALSE(config.router.normalize);
  CHECK(config.layers[2].shared_hidden_dim == 32);

  const auto some = text({{"interleave_moe_layer_step", 2}, {"no_rope_layers", {1, 0, 0, 1}}, {"attn_temperature_tuning", false}});
  REQUIRE(some.ok());
  CHECK(some->layers[0].n_experts == 1);
  CHECK(some->layers[0].hidden_dim == 64);
  CHECK_FALSE(some->layers[0].has_shared());
  CHECK(some->layers[1].n_experts == 8);
  CHECK(ropes(*some) == std::vector<int>{0, -1, -1, 0});
  CHECK(windows(*some) == std::vector<int>{8, 0, 0, 8});
  CHECK(some->query_growth == 0.0f);
  CHECK(text({{"moe_layers", {3}}})->layers[2].n_experts == 1);
  CHECK(windows(*text({{"attention_chunk_size", nullptr}})) == std::vector<int>{0, 0, 0, 0});
  CHECK(windows(*text({{"attention_chunk_size", "remove"}})) == std::vector<int>{8192, 8192, 8192, 0});
  CHECK(windows(*text({{"layer_types", {"full_attention", "chunked_attention", "full_attention", "full_attention"}}})) == std::vector<int>{0, 8, 0, 0});
  const auto wrong = [&](const Json& changes) {
    const auto refused = text(changes);
    REQUIRE_FALSE(refused.ok());
    return refused.error().message;
  };
  CHECK_THAT(wrong({{"no_rope_layers", {1, 0}}}), Contains("no_rope_layers: expected a list of 4 entries, found [1,0]"));
  CHECK_THAT(wrong({{"no_rope_layers", {1, 0, 2, 1}}}), Contains("no_rope_layers: expected a list of 0 and 1"));
  CHECK_THAT(wrong({{"moe_layers", {4}}}), Contains("moe_layers: expected layers from 0 to 3, found [4]"));
  CHECK_THAT(wrong({{"attention_bias", true}}), Contains("attention_bias"));
  CHECK_THAT(wrong({{"attn_temperature_tuning", "yes"}}), Contains("attn_temperature_tuning: expected true, false or a number"));
}

TEST_CASE("gpt_oss: windows, clamped activation, biases, yarn") {
  const auto config = read("gpt_oss");
  CHECK(windows(config) == std::vector<int>{8, 0, 8, 0});
  CHECK(config.activation == engine::Activation::kClampedSwish);
  CHECK(config.activation_limit == 7.0f);
  CHECK(config.attention_sinks);
  CHECK(config.neuron_bias);
  CHECK(config.router.logit_bias);
  CHECK(config.qkv_bias);
  CHECK(config.output_bias);
  CHECK(config.layers[3].n_experts == 8);
  CHECK(config.layers[3].n_active == 4);
  CHECK_FALSE(config.rope.whole_pairs);
  CHECK(config.rope.original_context_tokens == 384);
  CHECK(read("gpt_oss", {{"num_experts_per_tok", "remove"}, {"experts_per_token", 2}}).layers[0].n_active == 2);
  CHECK(windows(read("gpt_oss", {{"layer_types", "remove"}, {"sliding_window", "remove"}})) == std::vector<int>{128, 0, 128, 0});
  CHECK_THAT(refusal("gpt_oss", {{"swiglu_limit", 0}}), Contains("swiglu_limit"));
  CHECK_THAT(refusal("gpt_oss", {{"num_experts_per_tok", 9}}), Contains("num_experts_per_tok") && Contains("9"));
}

TEST_CASE("bert: an encoder with learned positions") {
  const auto config = read("bert");
  CHECK(config.encoder);
  CHECK(config.norm_after);
  CHECK(config.max_context_tokens == 64);
  CHECK(config.norm_eps == 1e-12f);
  CHECK(config.layers[0].rope == -1);
  CHECK_FALSE(config.gated());
  // Words, positions and a norm; per layer four projections, two matrices, their biases and two norms. Of two types the first is in the positions.
  const std::uint64_t layer = 4 * (64 * 64 + 64) + 2 * 64 * 160 + 160 + 64 + 4 * 64;
  CHECK(shard::count_parameters(config).total == (280 + 64 + 1) * 64 + 2 * 64 + 3 * layer);
  CHECK_THAT(refusal("bert", {{"position_embedding_type", "relative_key"}}), Contains("position_embedding_type"));
  CHECK_THAT(refusal("bert", {{"hidden_act", "silu"}}), Contains("expected gelu"));
  CHECK_THAT(refusal("bert", {{"is_decoder", true}}), Contains("is_decoder"));
}

TEST_CASE("bert: pooling is what modules.json says") {
  const auto folder = scratch_folder();
  const auto open = [&](const std::string& modules, const std::string& pooling) {
    copy_golden("bert", folder);
    std::filesystem::create_directories(folder / "1_Pooling");
    write_file(folder / "modules.json", modules);
    write_file(folder / "1_Pooling" / "config.json", pooling);
    return shard::SourceModel::open(folder);
  };
  const std::string transformer = R"({"type": "sentence_transformers.models.Transformer", "path": ""})";
  const std::string pool = R"({"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"})";
  const std::string first = R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})";
  const auto config = open("[" + transformer + "," + pool + "]", first);
  REQUIRE(config.ok());
  CHECK(config->config().pooling == engine::Pooling::kFirst);
  CHECK_FALSE(config->config().unit_length);
  const auto refused = [&](const std::string& modules, const std::string& pooling) {
    const auto model = open(modules, pooling);
    REQUIRE_FALSE(model.ok());
    return model.error().message;
  };
  CHECK_THAT(refused("[" + pool + "]", R"({"pooling_mode_max_tokens": true})"), Contains("pooling_mode_max_tokens"));
  CHECK_THAT(refused("[" + pool + "]", "{}"), Contains("found none"));
  CHECK_THAT(refused(R"([{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}])", first), Contains("Dense"));
  CHECK_THAT(refused(R"([{"type": "x.Pooling", "path": "../secret"}])", first), Contains("field path"));
  CHECK_THAT(refused("{}", first), Contains("a list of modules"));
}

TEST_CASE("What is not supported is refused by name with what is") {
  CHECK_THAT(refusal("llama", {{"architectures", {"FooForCausalLM"}}, {"model_type", "foo"}}),
             Contains("FooForCausalLM (foo)") && Contains("Qwen3MoeForCausalLM (qwen3_moe)"));
  CHECK_THAT(refusal("llama", {{"architectures", {"LlamaForSequenceClassification"}}}), Contains("LlamaForSequenceClassification"));
  CHECK_THAT(refusal("llama", {{"architectures", "remove"}, {"model_type", "remove"}}), Contains("field model_type"));
  CHECK_THAT(refusal("llama", {{"rope_scaling", {{"type", "longrope"}, {"factor", 2}}}}), Contains("longrope") && Contains("llama3, yarn"));
  CHECK_THAT(refusal("llama", {{"hidden_act", "relu"}}), Contains("hidden_act") && Contains("found \"relu\""));
  CHECK_THAT(refusal("llama", {{"mlp_bias", true}}), Contains("mlp_bias"));
  CHECK_THAT(refusal("llama", {{"partial_rotary_factor", 0.5}}), Contains("partial_rotary_factor"));
}

TEST_CASE("Fields that are missing or wrong are named with what was expected and found") {
  CHECK_THAT(refusal("llama", {{"hidden_size", "remove"}}), Contains("field hidden_size") && Contains("found nothing"));
  CHECK_THAT(refusal("llama", {{"hidden_size", "64"}}), Contains("field hidden_size: expected an integer") && Contains("found \"64\""));
  CHECK_THAT(refusal("llama", {{"hidden_size", 64.5}}), Contains("found 64.5"));
  CHECK_THAT(refusal("llama", {{"hidden_size", -64}}), Contains("found -64"));
  CHECK_THAT(refusal("llama", {{"vocab_size", 99999999999}}), Contains("vocab_size") && Contains("99999999999"));
  CHECK_THAT(refusal("llama", {{"num_key_value_heads", 3}}), Contains("divisor of num_attention_heads 4, found 3"));
  CHECK_THAT(refusal("llama", {{"num_attention_heads", 5}}), Contains("head_dim") || Contains("divisor"));
  CHECK_THAT(refusal("llama3", {{"head_dim", 7}}), Contains("even"));
  CHECK_THAT(refusal("llama", {{"tie_word_embeddings", 1}}), Contains("true or false, found 1"));
  CHECK_THAT(refusal("llama", {{"rms_norm_eps", 0}}), Contains("rms_norm_eps") && Contains("above 0"));
  CHECK_THAT(refusal("llama3", {{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}}}}), Contains("rope_scaling: field low_freq_factor"));
  CHECK_THAT(refusal("llama", {{"rope_scaling", "x"}}), Contains("rope_scaling") && Contains("an object"));
  CHECK_THAT(refusal("mixtral", {{"num_experts_per_tok", 9}}), Contains("num_experts_per_tok") && Contains("8"));
  CHECK_THAT(refusal("qwen3_moe", {{"mlp_only_layers", {2}}}), Contains("mlp_only_layers"));
  CHECK_FALSE(shard::parse_model_config("{", "config.json").ok());
  CHECK_FALSE(shard::parse_model_config("[]", "config.json").ok());
}

TEST_CASE("Sizes whose products are beyond every real model are refused before anything is made of them") {
  const Json many = {{"num_experts", 65536}, {"hidden_size", 1048576}, {"head_dim", 16}, {"num_hidden_layers", 16384}};
  CHECK_THAT(refusal("qwen3_moe", many), Contains("n_experts * dim: expected 1 to 1073741824, found 68719476736"));
  // 16384 layers of one replicated path, 2 KV heads and 65536 experts of one group; 1 path each for the last norm and
  // the vocabulary, once or twice.
  CHECK_THAT(refusal("qwen3_moe", {{"num_experts", 65536}, {"num_hidden_layers", 16384}}),
             Contains("paths of the model: expected 1 to 16777216, found 10737909"));
}
