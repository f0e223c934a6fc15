#include "shard/family.h"

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

using engine::LayerConfig;
using engine::ModelConfig;
using engine::RopeConfig;
using engine::RopeScaling;

/// An object that does not name its type means no scaling: whatever else it asks for would be lost.
Status check_untyped_rope(const Json& object, const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || key == "rope_theta" || key == "partial_rotary_factor") continue;
    return Error{ErrorCode::kUnsupported,
                 text(where, ": ", dump_json(Json(key)).substr(0, 60), " is not supported without rope_type")};
  }
  return {};
}

Status read_rotary_dim(const ConfigFields& fields, const FamilyDefaults& defaults, int head_dim, RopeConfig& rope) {
  COLONNADE_ASSIGN(const float part, fields.number("partial_rotary_factor", defaults.partial_rotary.value_or(1.0f)));
  if (!defaults.partial_rotary && part != 1.0f)
    return fields.invalid("partial_rotary_factor", "1 (others are not supported)");
  rope.rotary_dim = static_cast<int>(part * static_cast<float>(head_dim));
  if (rope.rotary_dim < 2 || rope.rotary_dim > head_dim || rope.rotary_dim % 2 != 0)
    return fields.invalid("partial_rotary_factor", text("an even part of head_dim ", head_dim));
  return {};
}

/// transformers calls the object rope_scaling; from version 5 on rope_parameters, with rope_theta inside. It takes
/// the older one where both are there.
Result<RopeConfig> read_rope(const ConfigFields& fields, const FamilyDefaults& defaults, int head_dim) {
  RopeConfig rope;
  COLONNADE_TRY(read_rotary_dim(fields, defaults, head_dim, rope));

  const Json* older = fields.find("rope_scaling");
  const char* name = older != nullptr && !older->empty() ? "rope_scaling" : "rope_parameters";
  const Json* object = fields.find(name);
  if (object != nullptr && !object->is_object()) return fields.invalid(name, "an object");
  COLONNADE_ASSIGN(rope.theta, fields.number("rope_theta", defaults.rope_theta));
  if (object == nullptr) return rope;

  const ConfigFields scaling(*object, text(fields.where(), ": ", name));
  COLONNADE_ASSIGN(rope.theta, scaling.number("rope_theta", rope.theta));
  if (scaling.has("partial_rotary_factor")) COLONNADE_TRY(read_rotary_dim(scaling, defaults, head_dim, rope));
  if (!scaling.has("rope_type") && !scaling.has("type")) {
    COLONNADE_TRY(check_untyped_rope(*object, scaling.where()));
  }
  COLONNADE_ASSIGN(const std::string old_name, scaling.string("type", "default"));
  COLONNADE_ASSIGN(const std::string type, scaling.string("rope_type", old_name.c_str()));
  if (type == "default") return rope;
  if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
    COLONNADE_ASSIGN(rope.factor, scaling.number("factor"));
    return rope;
  }
  if (type == "llama3") {
    rope.scaling = RopeScaling::kLlama3;
    COLONNADE_ASSIGN(rope.factor, scaling.number("factor"));
    COLONNADE_ASSIGN(rope.low_freq_factor, scaling.number("low_freq_factor"));
    COLONNADE_ASSIGN(rope.high_freq_factor, scaling.number("high_freq_factor"));
    COLONNADE_ASSIGN(rope.original_context_tokens, scaling.positive("original_max_position_embeddings", {}, 1 << 30));
    if (rope.high_freq_factor < rope.low_freq_factor)
      return scaling.invalid("high_freq_factor", text("at least low_freq_factor ", rope.low_freq_factor));
    return rope;
  }
  if (type == "yarn") {
    COLONNADE_TRY(read_yarn(fields, scaling, rope));
    return rope;
  }
  if (type == "factors") {  // of GGUF files, which say the result and not how it came about
    const Json* factors = scaling.find("factors");
    if (factors == nullptr || !factors->is_array()) return scaling.invalid("factors", "a list of numbers");
    for (const Json& factor : *factors) {
      if (!factor.is_number()) return scaling.invalid("factors", "a list of numbers");
      rope.factors.push_back(factor.get<float>());
    }
    return rope;
  }
  return Error{ErrorCode::kUnsupported, text(scaling.where(), ": rope type ", type,
                                             " is not supported; supported are default, linear, llama3, yarn")};
}

Result<engine::Activation> read_activation(const ConfigFields& fields, const FamilyDefaults& defaults) {
  COLONNADE_ASSIGN(const std::string name, fields.string(defaults.activation_field, defaults.activation));
  if (!defaults.gated) {
    if (name == "gelu") return engine::Activation::kGeluErf;
    return fields.invalid(defaults.activation_field, "gelu (others are not supported)");
  }
  if (name == "silu" || name == "swish") return engine::Activation::kSilu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return engine::Activation::kGeluTanh;
  return fields.invalid(defaults.activation_field, "silu or gelu_pytorch_tanh (others are not supported)");
}

/// layer_types as "has a window", or an empty list where there is none.
Result<std::vector<bool>> read_layer_types(const ConfigFields& fields, int n_layers) {
  std::vector<bool> windowed;
  const Json* types = fields.find("layer_types");
  if (types == nullptr) return windowed;
  if (!types->is_array() || types->size() != static_cast<std::size_t>(n_layers))
    return fields.invalid("layer_types", text("a list of ", n_layers, " names"));
  for (const Json& type : *types) {
    if (type != "sliding_attention" && type != "full_attention")
      return fields.invalid("layer_types", "names sliding_attention or full_attention");
    windowed.push_back(type == "sliding_attention");
  }
  return windowed;
}

}  // namespace

Result<ModelConfig> read_shared_fields(const ConfigFields& fields, const FamilyDefaults& defaults) {
  ModelConfig config;
  COLONNADE_ASSIGN(config.dim, fields.positive("hidden_size"));
  COLONNADE_ASSIGN(config.n_layers, fields.positive("num_hidden_layers", {}, 1 << 14));
  COLONNADE_ASSIGN(config.n_heads, fields.positive("num_attention_heads", defaults.n_heads, 1 << 14));
  const bool kv_as_heads = defaults.n_kv_heads == 0 || fields.is_null("num_key_value_heads");
  const int kv_heads = kv_as_heads ? config.n_heads : defaults.n_kv_heads;
  COLONNADE_ASSIGN(config.n_kv_heads, fields.positive("num_key_value_heads", kv_heads, 1 << 14));
  if (config.n_heads % config.n_kv_heads != 0)
    return fields.invalid("num_key_value_heads", text("a divisor of num_attention_heads ", config.n_heads));
  if (!fields.has("head_dim") && defaults.head_dim == 0 && config.dim % config.n_heads != 0)
    return fields.invalid("head_dim", text("a value, since hidden_size ", config.dim,
                                           " is no multiple of num_attention_heads ", config.n_heads));
  const int head_dim = defaults.head_dim > 0 ? defaults.head_dim : config.dim / config.n_heads;
  COLONNADE_ASSIGN(config.head_dim, fields.positive("head_dim", head_dim, 1 << 14));
  if (config.head_dim % 2 != 0) return fields.invalid("head_dim", text("an even value, but it is ", config.head_dim));
  COLONNADE_ASSIGN(config.vocab_size, fields.positive("vocab_size", defaults.vocab_size));
  COLONNADE_ASSIGN(config.max_context_tokens,
                   fields.positive("max_position_embeddings", defaults.max_context_tokens, 1 << 30));
  COLONNADE_ASSIGN(config.norm_eps, fields.number("rms_norm_eps", defaults.norm_eps));
  COLONNADE_ASSIGN(config.rope, read_rope(fields, defaults, config.head_dim));
  COLONNADE_ASSIGN(config.tied_embeddings, fields.flag("tie_word_embeddings", defaults.tied_embeddings));
  COLONNADE_ASSIGN(config.activation, read_activation(fields, defaults));
  LayerConfig dense;
  COLONNADE_ASSIGN(dense.hidden_dim, fields.positive("intermediate_size"));
  config.layers.assign(static_cast<std::size_t>(config.n_layers), dense);
  return config;
}

Status read_optional_window(const ConfigFields& fields, int default_max_window_layers, ModelConfig& config) {
  COLONNADE_ASSIGN(const bool enabled, fields.flag("use_sliding_window", false));
  if (!enabled || fields.is_null("sliding_window")) return {};
  COLONNADE_ASSIGN(const int window, fields.positive("sliding_window", 4096, 1 << 30));
  COLONNADE_ASSIGN(const int first, fields.count("max_window_layers", default_max_window_layers));
  COLONNADE_ASSIGN(const std::vector<bool> types, read_layer_types(fields, config.n_layers));
  for (std::size_t i = 0; i < config.layers.size(); ++i)
    if (types.empty() ? static_cast<int>(i) >= first : types[i]) config.layers[i].window_tokens = window;
  return {};
}

Status read_alternating_windows(const ConfigFields& fields, int default_window, int period, ModelConfig& config) {
  if (fields.is_null("sliding_window")) return {};
  COLONNADE_ASSIGN(const int window, fields.positive("sliding_window", default_window, 1 << 30));
  COLONNADE_ASSIGN(const std::vector<bool> types, read_layer_types(fields, config.n_layers));
  for (std::size_t i = 0; i < config.layers.size(); ++i)
    if (types.empty() ? (i + 1) % static_cast<std::size_t>(period) != 0 : types[i]) config.layers[i].window_tokens = window;
  return {};
}

}  // namespace colonnade::shard
