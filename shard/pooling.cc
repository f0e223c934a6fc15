#include "shard/pooling.h"

#include <span>

#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "shard/config_fields.h"
#include "shard/durable_file.h"
#include "shard/gguf_file.h"
#include "shard/mapped_file.h"

namespace colonnade::shard {
namespace {

constexpr std::uint64_t kMaxBytes = 1u << 20;

Result<Json> read_json(const std::filesystem::path& path) {
  COLONNADE_ASSIGN(const std::string content, read_small_file(path, kMaxBytes));
  return parse_json(content, path.string());
}

Status read_pooling_module(const std::filesystem::path& path, engine::ModelConfig& config) {
  COLONNADE_ASSIGN(const Json json, read_json(path));
  if (!json.is_object()) return Error{ErrorCode::kInvalidArgument, text(path.string(), ": expected a JSON object")};
  const ConfigFields fields(json, path.string());
  COLONNADE_ASSIGN(const bool first, fields.flag("pooling_mode_cls_token", false));
  COLONNADE_ASSIGN(const bool mean, fields.flag("pooling_mode_mean_tokens", false));
  for (const auto& [key, value] : json.items())
    if (key.starts_with("pooling_mode_") && key != "pooling_mode_cls_token" && key != "pooling_mode_mean_tokens" && value == true)
      return Error{ErrorCode::kUnsupported, text(path.string(), ": ", dump_json(Json(key)).substr(0, 60),
                                                 " is not supported; supported are mean_tokens and cls_token")};
  if (first == mean)
    return Error{ErrorCode::kUnsupported,
                 text(path.string(), ": expected one of pooling_mode_mean_tokens and pooling_mode_cls_token, found ",
                      first ? "both" : "none")};
  config.pooling = first ? engine::Pooling::kFirst : engine::Pooling::kMean;
  return {};
}

/// 1: the mean of all tokens, 2: the first.
Status read_gguf_pooling(const std::filesystem::path& file, engine::ModelConfig& config) {
  COLONNADE_ASSIGN(const GgufHeader header, read_gguf_file_header(file));
  COLONNADE_ASSIGN(const auto architecture, header.string("general.architecture"));
  COLONNADE_ASSIGN(const auto type, header.integer(text(architecture.value_or(""), ".pooling_type")));
  if (type && *type != 1 && *type != 2)
    return Error{ErrorCode::kUnsupported, text(file.string(), ": GGUF key pooling_type: expected 1 (mean) or 2 (first token), found ", *type)};
  if (type) config.pooling = *type == 2 ? engine::Pooling::kFirst : engine::Pooling::kMean;
  return {};
}

Status write_json(const std::filesystem::path& path, const OrderedJson& json) {
  const std::string content = json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
  return write_file_durably(path, std::as_bytes(std::span(content)));
}

}  // namespace

Status write_pooling(const std::filesystem::path& directory, const engine::ModelConfig& config) {
  constexpr const char* kFolder = "1_Pooling";
  OrderedJson modules = OrderedJson::array();
  const auto add = [&](const char* path, const std::string& kind) {
    const std::size_t index = modules.size();
    modules.push_back({{"idx", index}, {"name", text(index)}, {"path", path}, {"type", "sentence_transformers.models." + kind}});
  };
  add("", "Transformer");
  add(kFolder, "Pooling");
  if (config.unit_length) add("2_Normalize", "Normalize");
  const bool first = config.pooling == engine::Pooling::kFirst;
  const OrderedJson pooling = {{"word_embedding_dimension", config.dim}, {"pooling_mode_cls_token", first}, {"pooling_mode_mean_tokens", !first}};
  std::error_code error;
  std::filesystem::create_directories(directory / kFolder, error);
  if (error) return Error{ErrorCode::kIo, text((directory / kFolder).string(), ": cannot be made: ", error.message())};
  COLONNADE_TRY(write_json(directory / kFolder / "config.json", pooling));
  return write_json(directory / "modules.json", modules);
}

Status read_pooling(const std::filesystem::path& directory, engine::ModelConfig& config) {
  if (is_gguf_file(directory)) return read_gguf_pooling(directory, config);
  const auto list = directory / "modules.json";
  std::error_code ignored;
  if (!std::filesystem::exists(list, ignored)) return {};
  COLONNADE_ASSIGN(const Json modules, read_json(list));
  if (!modules.is_array()) return Error{ErrorCode::kInvalidArgument, text(list.string(), ": expected a list of modules")};
  for (const Json& module : modules) {
    if (!module.is_object()) return Error{ErrorCode::kInvalidArgument, text(list.string(), ": expected a list of objects")};
    const ConfigFields fields(module, list.string());
    COLONNADE_ASSIGN(const std::string type, fields.string("type", ""));
    COLONNADE_ASSIGN(const std::string path, fields.string("path", ""));
    const std::string kind = type.substr(type.rfind('.') + 1);
    if (kind == "Transformer") continue;
    if (kind == "Normalize") {
      config.unit_length = true;
    } else if (kind == "Pooling") {
      if (path.empty() || path.find("..") != std::string::npos || path.front() == '/')
        return fields.invalid("path", "a folder beside modules.json");
      COLONNADE_TRY(read_pooling_module(directory / path / "config.json", config));
    } else {
      return Error{ErrorCode::kUnsupported, text(list.string(), ": module ", dump_json(Json(type)).substr(0, 80),
                                                 " is not supported; supported are Transformer, Pooling and Normalize")};
    }
  }
  return {};
}

}  // namespace colonnade::shard
