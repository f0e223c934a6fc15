// Llama 4 (Scout, Maverick), the text of it: every fourth layer sees all and rotates nothing, the others see chunks; one expert of
// many beside a shared one, whose score multiplies what it reads. transformers Llama4ForCausalLM.
#include "engine/base/format_text.h"
#include "shard/family.h"

namespace colonnade::shard {
namespace {

/// A list of n_layers entries, or nullptr: absent, null and empty are the same.
Result<const Json*> list_of_layers(const ConfigFields& fields, const char* name, int n_layers) {
  const Json* list = fields.find(name);
  if (list == nullptr || (list->is_array() && list->empty())) return nullptr;
  if (!list->is_array() || list->size() != static_cast<std::size_t>(n_layers))
    return fields.invalid(name, text("a list of ", n_layers, " entries"));
  return list;
}

/// no_rope_layers has a 1 for each layer that rotates.
Status read_ropes(const ConfigFields& fields, engine::ModelConfig& config) {
  COLONNADE_ASSIGN(const int interval, fields.positive("no_rope_layer_interval", 4));
  COLONNADE_ASSIGN(const Json* list, list_of_layers(fields, "no_rope_layers", config.n_layers));
  for (int l = 0; l < config.n_layers; ++l) {
    bool rotates = (l + 1) % interval != 0;
    if (list != nullptr) {
      const Json& entry = (*list)[static_cast<std::size_t>(l)];
      if (entry != 0 && entry != 1) return fields.invalid("no_rope_layers", "a list of 0 and 1");
      rotates = entry == 1;
    }
    config.layers[static_cast<std::size_t>(l)].rope = rotates ? 0 : -1;
  }
  return {};
}

/// Layers that rotate see their chunk, or those that layer_types names.
Status read_chunks(const ConfigFields& fields, engine::ModelConfig& config) {
  if (fields.is_null("attention_chunk_size")) return {};
  COLONNADE_ASSIGN(const int chunk, fields.positive("attention_chunk_size", 8192, 1 << 30));
  COLONNADE_ASSIGN(const Json* types, list_of_layers(fields, "layer_types", config.n_layers));
  for (std::size_t l = 0; l < config.layers.size(); ++l) {
    engine::LayerConfig& layer = config.layers[l];
    bool chunked = layer.rope >= 0;
    if (types != nullptr) {
      const Json& type = (*types)[l];
      if (type != "chunked_attention" && type != "full_attention")
        return fields.invalid("layer_types", "names chunked_attention or full_attention");
      chunked = type == "chunked_attention";
    }
    if (!chunked) continue;
    layer.window_tokens = chunk;
    layer.window_chunks = true;
  }
  return {};
}

/// attn_temperature_tuning is a flag, or a number as one.
Status read_query_growth(const ConfigFields& fields, engine::ModelConfig& config) {
  const Json* tuning = fields.find("attn_temperature_tuning");
  if (tuning != nullptr && !tuning->is_boolean() && !tuning->is_number_integer())
    return fields.invalid("attn_temperature_tuning", "true, false or a number");
  COLONNADE_ASSIGN(config.query_growth_tokens, fields.positive("floor_scale", 8192, 1 << 30));
  COLONNADE_ASSIGN(const float growth, fields.number("attn_scale", 0.1f));
  if (tuning == nullptr || (*tuning != false && *tuning != 0)) config.query_growth = growth;
  return {};
}

/// moe_layers lists them; without it they are every interleave_moe_layer_step-th.
Result<std::vector<bool>> read_sparse(const ConfigFields& fields, int n_layers) {
  std::vector<bool> sparse(static_cast<std::size_t>(n_layers));
  COLONNADE_ASSIGN(const int step, fields.positive("interleave_moe_layer_step", 1));
  const Json* list = fields.find("moe_layers");
  if (list == nullptr) {
    for (int l = step - 1; l < n_layers; l += step) sparse[static_cast<std::size_t>(l)] = true;
    return sparse;
  }
  const auto fits = [&](const Json& layer) { return layer.is_number_unsigned() && layer.get<std::uint64_t>() < sparse.size(); };
  if (!list->is_array()) return fields.invalid("moe_layers", "a list of layers");
  for (const Json& layer : *list) {
    if (!fits(layer)) return fields.invalid("moe_layers", text("layers from 0 to ", n_layers - 1));
    sparse[layer.get<std::size_t>()] = true;
  }
  return sparse;
}

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.n_kv_heads = 8, .head_dim = 128, .max_context_tokens = 131072, .norm_eps = 1e-5f, .rope_theta = 5e5f}));
  COLONNADE_ASSIGN(const bool attention_bias, fields.flag("attention_bias", false));
  if (attention_bias) return fields.invalid("attention_bias", "false (true is not supported)");
  COLONNADE_ASSIGN(config.qk_unit_norm, fields.flag("use_qk_norm", true));
  COLONNADE_TRY(read_ropes(fields, config));
  COLONNADE_TRY(read_chunks(fields, config));
  COLONNADE_TRY(read_query_growth(fields, config));
  COLONNADE_ASSIGN(const int n_experts, fields.positive("num_local_experts", 16, 1 << 16));
  COLONNADE_ASSIGN(const int n_active, fields.positive("num_experts_per_tok", 1, 1 << 16));
  COLONNADE_ASSIGN(const int dense_dim, fields.positive("intermediate_size_mlp", 16384));
  COLONNADE_ASSIGN(const std::vector<bool> sparse, read_sparse(fields, config.n_layers));
  for (std::size_t l = 0; l < config.layers.size(); ++l) {
    engine::LayerConfig& layer = config.layers[l];
    if (!sparse[l]) {
      layer.hidden_dim = dense_dim;
      continue;
    }
    COLONNADE_TRY(make_mixture(fields, "num_local_experts", n_experts, n_active, layer.hidden_dim, layer));
    layer.shared_hidden_dim = layer.hidden_dim;
  }
  config.router.score = engine::RouterScore::kSigmoid;
  config.router.normalize = false;
  config.router.weighs_input = true;
  return config;
}

}  // namespace

const Family& llama4_family() {
  static const Family family{"llama4_text",
                             "Llama4ForCausalLM",
                             {.dense = "feed_forward",
                              .router = "feed_forward.router",
                              .shared_expert = "feed_forward.shared_expert",
                              .prefix = "language_model.",
                              .inner_prefix = "language_model.",
                              .interleaved_rotation = true,
                              .stacked = {.gate_up = "feed_forward.experts.gate_up_proj",
                                          .down = "feed_forward.experts.down_proj",
                                          .transposed = true}},
                             read,
                             "llama4",
                             "Llama4ForConditionalGeneration"};
  return family;
}

}  // namespace colonnade::shard
