#include "coordinator/api_backend.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"

namespace colonnade::coordinator {
namespace {

Error wrong(const char* file, const char* field, const char* expected, const Json& found) {
  return {ErrorCode::kCorrupt, text(file, ": ", field, " must be ", expected, ", found ", dump_json(found))};
}

Result<Json> read_object(const std::string& content, const char* file) {
  if (content.empty()) return Json::object();
  COLONNADE_ASSIGN(Json value, parse_json(content, file));
  if (!value.is_object()) return wrong(file, "the file", "an object", value.type_name());
  return value;
}

/// eos_token_id: an integer or a list of them; multimodal models keep theirs in text_config.
Status read_end_tokens(const Json& config, const char* file, std::vector<std::int32_t>& tokens) {
  const Json& holder = !config.contains("eos_token_id") && config.contains("text_config") ? config["text_config"] : config;
  if (!holder.is_object() || !holder.contains("eos_token_id") || holder["eos_token_id"].is_null()) return {};
  const Json& value = holder["eos_token_id"];
  for (const Json& one : value.is_array() ? value : Json::array({value})) {
    if (!one.is_number_integer()) return wrong(file, "eos_token_id", "an integer or a list of integers", value);
    tokens.push_back(one.get<std::int32_t>());
  }
  return {};
}

template <typename Number>
Status read_number(const Json& config, const char* field, Number& number) {
  if (!config.contains(field) || config[field].is_null()) return {};
  if (!config[field].is_number()) return wrong("generation_config.json", field, "a number", config[field]);
  number = config[field].get<Number>();
  return {};
}

}  // namespace

Result<GenerationDefaults> read_generation_defaults(const std::string& generation_config, const std::string& config) {
  COLONNADE_ASSIGN(const Json generation, read_object(generation_config, "generation_config.json"));
  COLONNADE_ASSIGN(const Json model, read_object(config, "config.json"));
  GenerationDefaults defaults;
  COLONNADE_TRY(read_end_tokens(generation, "generation_config.json", defaults.end_tokens));
  if (defaults.end_tokens.empty()) COLONNADE_TRY(read_end_tokens(model, "config.json", defaults.end_tokens));
  COLONNADE_TRY(read_number(generation, "temperature", defaults.temperature));
  COLONNADE_TRY(read_number(generation, "top_p", defaults.top_p));
  COLONNADE_TRY(read_number(generation, "min_p", defaults.min_p));
  COLONNADE_TRY(read_number(generation, "top_k", defaults.top_k));
  COLONNADE_TRY(read_number(generation, "repetition_penalty", defaults.repetition_penalty));
  if (generation.contains("do_sample") && generation["do_sample"] == false) defaults.temperature = 0.0f;
  return defaults;
}

}  // namespace colonnade::coordinator
