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

Error unsupported_layout(std::string_view where, std::string_view layout) {
  return {ErrorCode::kUnsupported, text(where, ": quantization_config: weights stored as ", layout,
                                        " are not supported; supported are plain F32, F16, BF16 and sparse-bitmask")};
}

}  // namespace

Result<engine::ModelConfig> parse_model_config(std::string_view content, std::string_view where) {
  COLONNADE_ASSIGN(const Json json, parse_object(content, where));
  const ConfigFields fields(json, std::string(where));
  COLONNADE_ASSIGN(const Family* family, family_of(fields));
  COLONNADE_ASSIGN(engine::ModelConfig config, family->read(fields));
  config.family = family->model_type;
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

Status check_weight_layout(std::string_view config_text, std::string_view where) {
  COLONNADE_ASSIGN(const Json json, parse_object(config_text, where));
  const ConfigFields fields(json, std::string(where));
  // compression_config is the older name.
  const char* name = fields.has("quantization_config") ? "quantization_config" : "compression_config";
  const Json* object = fields.find(name);
  if (object == nullptr) return {};
  if (!object->is_object()) return fields.invalid(name, "an object");
  const ConfigFields quantization(*object, text(where, ": ", name));
  COLONNADE_ASSIGN(const std::string method, quantization.string("quant_method", "unnamed"));
  if (method != "compressed-tensors") return unsupported_layout(where, method);
  COLONNADE_ASSIGN(const std::string format, quantization.string("format", "dense"));
  if (format != "dense" && format != "sparse-bitmask") return unsupported_layout(where, format);
  const Json* sparsity = quantization.find("sparsity_config");
  if (sparsity == nullptr) return {};
  if (!sparsity->is_object()) return quantization.invalid("sparsity_config", "an object");
  const ConfigFields sparse(*sparsity, quantization.where());
  COLONNADE_ASSIGN(const std::string layout, sparse.string("format", "dense"));
  if (layout != "dense" && layout != "sparse-bitmask") return unsupported_layout(where, layout);
  return {};
}

}  // namespace colonnade::shard
