#include "shard/hf_config.h"

#include "engine/base/format_text.h"
#include "shard/config_fields.h"
#include "shard/family.h"
#include "shard/gguf_file.h"
#include "shard/mapped_file.h"
#include "shard/stored_model.h"

namespace colonnade::shard {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 16u << 20;

Result<Json> parse_object(std::string_view content, std::string_view where) {
  COLONNADE_ASSIGN(Json json, parse_json(content, where));
  if (!json.is_object()) return Error{ErrorCode::kInvalidArgument, text(where, ": expected a JSON object")};
  return json;
}

}  // namespace

Result<engine::ModelConfig> parse_model_config(std::string_view content, std::string_view where) {
  COLONNADE_ASSIGN(const Json json, parse_object(content, where));
  const ConfigFields fields(json, std::string(where));
  COLONNADE_ASSIGN(const FamilyFields chosen, family_of(fields));
  COLONNADE_ASSIGN(engine::ModelConfig config, chosen.family->read(chosen.fields));
  config.family = chosen.family->model_type;
  if (const Status status = check_model_config(config); !status.ok())
    return Error{status.error().code, text(where, ": ", status.error().message)};
  return config;
}

Result<engine::ModelConfig> read_model_config(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored) || is_gguf_file(path)) {
    COLONNADE_ASSIGN(const std::string stored, read_stored_config(path));
    return parse_model_config(stored, stored_config_name(path));
  }
  COLONNADE_ASSIGN(const std::string content, read_small_file(path, kMaxConfigBytes));
  return parse_model_config(content, path.string());
}

}  // namespace colonnade::shard
