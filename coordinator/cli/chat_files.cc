#include "coordinator/cli/chat_files.h"

#include <algorithm>

#include "engine/base/format_text.h"
#include "shard/gguf_config.h"
#include "shard/gguf_file.h"
#include "shard/mapped_file.h"

namespace colonnade::cli {
namespace {

namespace fs = std::filesystem;
using engine::ChatTemplates;

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{64} << 20;
constexpr const char* kFolder = "additional_chat_templates";

/// "additional_chat_templates/rag.jinja" → "rag"
std::string additional_name(const fs::path& path) {
  return path.parent_path() == kFolder && path.extension() == ".jinja" ? path.stem().string() : "";
}

Result<ChatTemplates> read_templates(const std::string& model, const engine::ModelFileReader& read, std::vector<std::string> additional) {
  std::sort(additional.begin(), additional.end());
  auto templates = ChatTemplates::from_model(read, additional);
  if (!templates.ok()) return Error{templates.error().code, text(model, ": ", templates.error().message)};
  return templates;
}

/// Of the small files of a model.
Result<ChatTemplates> templates_among(const std::string& model, const std::vector<shard::SourceFile>& files) {
  std::vector<std::string> additional;
  for (const shard::SourceFile& file : files)
    if (std::string name = additional_name(file.name); !name.empty()) additional.push_back(std::move(name));
  const auto read = [&](const std::string& name) -> std::optional<std::string> {
    const auto at = std::find_if(files.begin(), files.end(), [&](const shard::SourceFile& file) { return file.name == name; });
    return at != files.end() ? std::optional(at->content) : std::nullopt;
  };
  return read_templates(model, read, std::move(additional));
}

Result<ChatTemplates> manifest_templates(const shard::Manifest& manifest) { return templates_among(manifest.name, manifest.source_files); }

Result<ChatTemplates> gguf_templates(const fs::path& file) {
  COLONNADE_ASSIGN(const shard::GgufHeader header, shard::read_gguf_file_header(file));
  COLONNADE_ASSIGN(const std::vector<shard::SourceFile> files, shard::gguf_text_files(header));
  return templates_among(file.string(), files);
}

Result<ChatTemplates> directory_templates(const fs::path& directory) {
  std::error_code error;
  std::vector<std::string> additional;
  for (const auto& entry : fs::directory_iterator(directory / kFolder, error))
    if (std::string name = additional_name(fs::path(kFolder) / entry.path().filename()); !name.empty()) additional.push_back(std::move(name));
  std::optional<Error> failed;
  const auto read = [&](const std::string& name) -> std::optional<std::string> {
    std::error_code ignored;
    if (!fs::exists(directory / name, ignored)) return std::nullopt;
    auto content = shard::read_small_file(directory / name, kMaxFileBytes);
    if (content.ok()) return *std::move(content);
    if (!failed) failed = content.error();
    return std::nullopt;
  };
  auto templates = read_templates(directory.string(), read, std::move(additional));
  if (failed) return *failed;
  return templates;
}

Result<ChatTemplates> file_template(const fs::path& file) {
  COLONNADE_ASSIGN(const std::string source, shard::read_small_file(file, kMaxFileBytes));
  return ChatTemplates::from_text(source, file.string());
}

}  // namespace

Result<std::shared_ptr<const ChatTemplates>> chat_templates_of(const shard::Manifest& manifest, const std::string& file) {
  if (file.empty()) {
    COLONNADE_ASSIGN(ChatTemplates own, manifest_templates(manifest));
    return std::make_shared<const ChatTemplates>(std::move(own));
  }
  COLONNADE_ASSIGN(ChatTemplates given, file_template(file));
  // The model's templates may be why another was given: only its tokens are wanted.
  if (const auto own = manifest_templates(manifest); own.ok())
    for (const auto& [name, token] : own->special_tokens()) given.set_special_token(name, token);
  return std::make_shared<const ChatTemplates>(std::move(given));
}

Result<ChatTemplates> open_chat_templates(const fs::path& model) {
  std::error_code ignored;
  ChatTemplates templates;
  if (shard::is_packed_model(model)) {
    COLONNADE_ASSIGN(const shard::Manifest manifest, shard::read_manifest(model));
    COLONNADE_ASSIGN(templates, manifest_templates(manifest));
  } else if (fs::is_directory(model, ignored)) {
    COLONNADE_ASSIGN(templates, directory_templates(model));
  } else if (shard::is_gguf_file(model)) {
    COLONNADE_ASSIGN(templates, gguf_templates(model));
  } else if (fs::is_regular_file(model, ignored)) {
    return file_template(model);
  } else {
    return Error{ErrorCode::kNotFound, text(model.string(), ": expected a model's directory or a file with a chat template, found no such file")};
  }
  if (templates.empty()) return Error{ErrorCode::kNotFound, text(model.string(), ": expected a model with a chat template, found none in it")};
  return templates;
}

}  // namespace colonnade::cli
