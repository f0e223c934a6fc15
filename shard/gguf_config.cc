#include "shard/gguf_config.h"

#include <algorithm>
#include <cmath>

#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "shard/gguf_architecture.h"
#include "shard/tokenizer_source.h"

namespace colonnade::shard {
namespace {

/// Reads keys of one architecture into fields.
class ConfigMaker {
 public:
  ConfigMaker(const GgufFiles& files, const GgufArchitecture& architecture, std::string_view where)
      : files_(files), header_(files.header()), architecture_(architecture), where_(where) {}

  Result<Json> make() {
    const Family* family = find_family(architecture_.model_type);
    COLONNADE_CHECK(family != nullptr, "a GGUF architecture of a family that is not listed");
    config_["model_type"] = family->model_type;
    config_["architectures"] = Json::array({family->architecture});
    for (const GgufImplied& implied : architecture_.implied) config_[implied.field] = Json::parse(implied.json);
    for (const GgufKey& key : shared_gguf_keys()) COLONNADE_TRY(copy(key));
    for (const GgufKey& key : architecture_.keys) COLONNADE_TRY(copy(key));
    COLONNADE_TRY(add_sizes());
    COLONNADE_TRY(add_rope());
    COLONNADE_TRY(add_tokens());
    if (architecture_.complete != nullptr) architecture_.complete(config_);
    return std::move(config_);
  }

 private:
  std::string full(const char* key) const { return text(architecture_.name, ".", key); }
  Error wrong(const char* key, const std::string& expected, const std::string& found) const {
    return {ErrorCode::kCorrupt, text(where_, ": GGUF key ", full(key), ": expected ", expected, ", found ", found)};
  }

  /// A value, or a list with one for each layer, which must be the same.
  Status copy(const GgufKey& key) {
    const GgufValue* value = header_.find(full(key.key));
    if (value == nullptr) return {};
    if (const auto* list = std::get_if<std::vector<std::int64_t>>(value)) {
      if (list->empty() || std::count(list->begin(), list->end(), list->front()) != static_cast<std::ptrdiff_t>(list->size()))
        return Error{ErrorCode::kUnsupported, text(where_, ": GGUF key ", full(key.key), ": expected one value for all layers, found ", list->size(), " that differ")};
      config_[key.field] = list->front();
      return {};
    }
    const auto* integer = std::get_if<std::int64_t>(value);
    const auto* number = std::get_if<double>(value);
    if (integer == nullptr && number == nullptr) return wrong(key.key, "a number", "another kind of value");
    if (key.kind == GgufKeyKind::kFlag) config_[key.field] = integer != nullptr ? *integer != 0 : *number != 0;
    else if (integer != nullptr && *integer >= 0) config_[key.field] = static_cast<std::uint64_t>(*integer);
    else if (integer != nullptr) config_[key.field] = *integer;
    else config_[key.field] = *number;
    return {};
  }

  std::int64_t integer_field(const char* field) const {
    const auto at = config_.find(field);
    return at != config_.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
  }

  Status add_sizes() {
    // What is not written has the value that ggml assumes, which is not always that of the family.
    const std::int64_t heads = integer_field("num_attention_heads");
    if (!config_.contains("num_key_value_heads")) config_["num_key_value_heads"] = config_["num_attention_heads"];
    if (!config_.contains("head_dim") && heads > 0) config_["head_dim"] = static_cast<std::uint64_t>(integer_field("hidden_size") / heads);
    if (!config_.contains("intermediate_size") && config_.contains("moe_intermediate_size")) config_["intermediate_size"] = config_["moe_intermediate_size"];
    // Layers that predict further tokens come last and are not part of the model.
    COLONNADE_ASSIGN(const auto extra, header_.integer(full("nextn_predict_layers")));
    if (extra && *extra > 0 && *extra < integer_field("num_hidden_layers"))
      config_["num_hidden_layers"] = static_cast<std::uint64_t>(integer_field("num_hidden_layers") - *extra);
    const GgufPlacedTensor* embedding = files_.find("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2)
      return Error{ErrorCode::kNotFound, text(where_, ": expected a tensor token_embd.weight of two dimensions, found none")};
    config_["vocab_size"] = embedding->shape[0];
    config_["tie_word_embeddings"] = files_.find("output.weight") == nullptr;
    config_["attention_bias"] = files_.find("blk.0.attn_q.bias") != nullptr;
    config_["use_qk_norm"] = files_.find("blk.0.attn_q_norm.weight") != nullptr;
    return {};
  }

  Status add_rope() {
    if (!config_.contains("rope_theta")) config_["rope_theta"] = 10000.0;
    COLONNADE_ASSIGN(const auto rotated, header_.integer(full("rope.dimension_count")));
    const std::int64_t head_dim = integer_field("head_dim");
    if (rotated && *rotated != head_dim && head_dim > 0) config_["partial_rotary_factor"] = static_cast<double>(*rotated) / static_cast<double>(head_dim);
    COLONNADE_ASSIGN(const auto type, header_.string(full("rope.scaling.type")));
    COLONNADE_ASSIGN(const auto factor, header_.number(full("rope.scaling.factor")));
    COLONNADE_ASSIGN(const auto old_factor, header_.number(full("rope.scale_linear")));
    COLONNADE_ASSIGN(const auto original, header_.integer(full("rope.scaling.original_context_length")));
    Json scaling = Json::object();
    if (const GgufPlacedTensor* factors = files_.find("rope_freqs.weight")) {
      COLONNADE_ASSIGN(scaling["factors"], factors_of(*factors));
      scaling["rope_type"] = "factors";
    } else if (type && *type != "none") {
      scaling["rope_type"] = *type;
      if (factor) scaling["factor"] = *factor;
      // DeepSeek's softening of scores; its two factors are the same in all of its models.
      COLONNADE_ASSIGN(const auto softening, header_.number(full("rope.scaling.yarn_log_multiplier")));
      if (softening && *softening > 0) scaling["mscale"] = scaling["mscale_all_dim"] = *softening * 10;
      if (original && *original > 0) scaling["original_max_position_embeddings"] = static_cast<std::uint64_t>(*original);
    } else if (old_factor && *old_factor != 1.0) {
      scaling = {{"rope_type", "linear"}, {"factor", *old_factor}};
    }
    if (!scaling.empty()) config_["rope_scaling"] = std::move(scaling);
    return {};
  }

  /// rope_freqs: what the frequency of each pair is divided by.
  Result<Json> factors_of(const GgufPlacedTensor& tensor) const {
    constexpr std::uint64_t kMost = 1 << 13;
    if (tensor.shape.size() != 1 || tensor.shape[0] > kMost)
      return Error{ErrorCode::kCorrupt, text(where_, ": tensor rope_freqs.weight: expected one dimension of at most ", kMost, ", found ", shape_text(tensor.shape))};
    std::vector<float> values(tensor.shape[0]);
    COLONNADE_TRY(gguf_rows(*tensor.type, tensor.data.data(), tensor.shape[0])->read(0, 0, values.size(), values.data()));
    for (const float value : values)
      if (!std::isfinite(value) || value <= 0)
        return Error{ErrorCode::kCorrupt, text(where_, ": tensor rope_freqs.weight: expected finite numbers above 0, found ", value)};
    return Json(values);
  }

  /// Tokens that end a text: those of turns and messages, too.
  Status add_tokens() {
    Json ends = Json::array();
    for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
      COLONNADE_ASSIGN(const auto token, header_.integer(text("tokenizer.ggml.", key)));
      if (token && *token >= 0 && *token < integer_field("vocab_size") && std::find(ends.begin(), ends.end(), Json(*token)) == ends.end()) ends.push_back(*token);
    }
    if (!ends.empty()) config_["eos_token_id"] = std::move(ends);
    COLONNADE_ASSIGN(const auto begin, header_.integer("tokenizer.ggml.bos_token_id"));
    if (begin && *begin >= 0 && *begin < integer_field("vocab_size")) config_["bos_token_id"] = *begin;
    return {};
  }

  const GgufFiles& files_;
  const GgufHeader& header_;
  const GgufArchitecture& architecture_;
  std::string where_;
  Json config_ = Json::object();
};

}  // namespace

Result<std::string> gguf_config(const GgufFiles& files, std::string_view where) {
  COLONNADE_ASSIGN(const GgufArchitecture* architecture, gguf_architecture_of(files.header(), where));
  auto config = ConfigMaker(files, *architecture, where).make();
  if (config.ok()) return config->dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (config.error().message.starts_with(where)) return config.error();
  return Error{config.error().code, text(where, ": ", config.error().message)};
}

Result<std::vector<SourceFile>> gguf_text_files(const GgufHeader& header) {
  constexpr std::string_view kTemplate = "tokenizer.chat_template";
  std::vector<SourceFile> files;
  COLONNADE_ASSIGN(const std::vector<std::string> tokens, header.strings("tokenizer.ggml.tokens"));
  if (tokens.empty()) return files;
  files.push_back({std::string(kGgufTokenizerFile), write_gguf_metadata(header, "tokenizer.ggml.")});
  Json special = Json::object();
  for (const auto& [key, name] : {std::pair("bos", "bos_token"), {"eos", "eos_token"}, {"unknown", "unk_token"}, {"padding", "pad_token"}, {"seperator", "sep_token"}}) {
    COLONNADE_ASSIGN(const auto id, header.integer(text("tokenizer.ggml.", key, "_token_id")));
    if (id && *id >= 0 && static_cast<std::uint64_t>(*id) < tokens.size()) special[name] = tokens[static_cast<std::size_t>(*id)];
  }
  files.push_back({"tokenizer_config.json", special.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"});
  for (const auto& [key, value] : header.values) {
    const auto* source = std::get_if<std::string>(&value);
    if (source == nullptr || !key.starts_with(kTemplate)) continue;
    if (key == kTemplate) files.push_back({"chat_template.jinja", *source});
    else if (key[kTemplate.size()] == '.' && key.find('/') == key.npos)
      files.push_back({text("additional_chat_templates/", key.substr(kTemplate.size() + 1), ".jinja"), *source});
  }
  return files;
}

}  // namespace colonnade::shard
