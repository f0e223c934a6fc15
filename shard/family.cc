#include "shard/family.h"

#include <algorithm>
#include <array>

#include "engine/base/format_text.h"

namespace colonnade::shard {

std::span<const Family* const> all_families() {
  static const std::array families{
      &llama_family(),
      &mistral_family(),
      &qwen2_family(),
      &qwen3_family(),
      &mixtral_family(),
      &qwen2_moe_family(),
      &qwen3_moe_family(),
      &olmoe_family(),
      &glm4_moe_family(),
      &deepseek_v2_family(),
      &deepseek_v3_family(),
      &kimi_k2_family(),
      &phi3_family(),
      &gpt_oss_family(),
      &bert_family(),
      &granite_family(),
      &granitemoe_family(),
      &gemma2_family(),
      &gemma3_family(),
      &llama4_family(),
  };
  return families;
}

const Family* find_family(std::string_view name) {
  const auto families = all_families();
  const auto at = std::find_if(families.begin(), families.end(), [&](const Family* f) { return f->model_type == name; });
  return at == families.end() ? nullptr : *at;
}

Result<FamilyFields> family_of(const ConfigFields& fields) {
  COLONNADE_ASSIGN(const std::string model_type, fields.string("model_type", ""));
  std::string architecture;
  if (const Json* list = fields.find("architectures")) {
    if (!list->is_array() || (!list->empty() && !list->front().is_string()))
      return fields.invalid("architectures", "a list of names");
    if (!list->empty()) architecture = list->front().get<std::string>();
  }
  if (model_type.empty() && architecture.empty()) return fields.invalid("model_type", "the name of an architecture");

  const auto fits = [&](const char* type, const char* name) {
    return (model_type.empty() || model_type == type) && (architecture.empty() || architecture == name);
  };
  for (const Family* family : all_families()) {
    if (fits(family->model_type, family->architecture) || fits(family->model_type, family->also_architecture))
      return FamilyFields{family, fields};
    if (!fits(family->whole_model_type, family->whole_architecture)) continue;
    const Json* text_config = fields.find("text_config");
    if (text_config == nullptr || !text_config->is_object()) return fields.invalid("text_config", "an object");
    ConfigFields of_text(*text_config, fields.where() + ": text_config");
    COLONNADE_ASSIGN(const std::string text_type, of_text.string("model_type", family->model_type));
    if (text_type != family->model_type) return of_text.invalid("model_type", text("\"", family->model_type, "\""));
    return FamilyFields{family, std::move(of_text)};
  }
  std::string supported;
  for (const Family* family : all_families()) {
    supported += text(supported.empty() ? "" : ", ", family->architecture, " (", family->model_type, ")");
    if (family->also_architecture[0] != '\0') supported += text(", ", family->also_architecture, " (", family->model_type, ")");
    if (family->whole_model_type[0] != '\0') supported += text(", the text of ", family->whole_architecture, " (", family->whole_model_type, ")");
  }
  return Error{ErrorCode::kUnsupported,
               text(fields.where(), ": architecture ", architecture.empty() ? "unnamed" : architecture,
                    model_type.empty() ? "" : " (" + model_type + ")", " is not supported; supported are ", supported)};
}

}  // namespace colonnade::shard
