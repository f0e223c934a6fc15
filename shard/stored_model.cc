#include "shard/stored_model.h"

#include <algorithm>
#include <system_error>

#include "engine/base/format_text.h"
#include "shard/checkpoint_tensors.h"
#include "shard/gguf_config.h"
#include "shard/gguf_tensors.h"
#include "shard/hf_config.h"
#include "shard/mapped_file.h"
#include "shard/tokenizer_source.h"

namespace colonnade::shard {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxConfigBytes = 16u << 20;
// tokenizer.json of a large vocabulary has about 20 MB.
constexpr std::uint64_t kMaxFileBytes = 128u << 20;
// What serving needs of a directory beside its weights and the file of its tokenizer.
constexpr const char* kFiles[] = {"config.json", "generation_config.json", "tokenizer_config.json",
                                  "special_tokens_map.json", "chat_template.jinja", "chat_template.json"};
// More chat templates, each with a name of its own.
constexpr const char* kTemplateFolder = "additional_chat_templates";

/// Of a directory that is neither.
std::string what_else(const fs::path& directory) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored))
    if (entry.path().extension() == ".gguf") return text("GGUF files such as ", entry.path().filename().string(), ": name one of them");
  return "neither";
}

Result<std::vector<SourceFile>> read_gguf_texts(const fs::path& model) {
  COLONNADE_ASSIGN(std::string config, read_stored_config(model));
  COLONNADE_ASSIGN(const GgufHeader header, read_gguf_file_header(model));
  COLONNADE_ASSIGN(std::vector<SourceFile> files, gguf_text_files(header));
  files.insert(files.begin(), {"config.json", std::move(config)});
  return files;
}

}  // namespace

Status check_stored_model(const fs::path& model) {
  std::error_code ignored;
  if (is_gguf_file(model)) return {};
  if (!fs::is_directory(model, ignored)) {
    const bool exists = fs::exists(model, ignored);
    return Error{exists ? ErrorCode::kInvalidArgument : ErrorCode::kNotFound,
                 text(model.string(), ": expected the directory of a packed model or of a Hugging Face model, or a GGUF file, found ",
                      exists ? "a file of another kind" : "nothing")};
  }
  if (!fs::exists(model / "config.json", ignored))
    return Error{ErrorCode::kNotFound, text(model.string(), ": expected ", kManifestName, " (a packed model) or "
                                            "config.json (a Hugging Face model), found ", what_else(model))};
  return {};
}

std::string stored_config_name(const fs::path& model) {
  std::error_code ignored;
  return fs::is_directory(model, ignored) ? (model / "config.json").string() : model.string();
}

Result<std::string> read_stored_config(const fs::path& model) {
  std::error_code ignored;
  if (!fs::exists(model / "config.json", ignored) && fs::exists(model / kManifestName, ignored))
    return Error{ErrorCode::kInvalidArgument, text(model.string(), ": expected a Hugging Face directory or a GGUF file, found a packed model")};
  if (!is_gguf_file(model)) return read_small_file(model / "config.json", kMaxConfigBytes);
  COLONNADE_ASSIGN(const GgufFiles files, GgufFiles::open(model));
  return gguf_config(files, model.string());
}

Result<std::vector<SourceFile>> read_stored_files(const fs::path& model) {
  if (is_gguf_file(model)) return read_gguf_texts(model);
  std::vector<std::string> names(std::begin(kFiles), std::end(kFiles));
  if (std::string name = tokenizer_file_name(model); !name.empty()) names.push_back(std::move(name));
  std::vector<SourceFile> files;
  std::error_code ignored;
  const std::size_t n_single = names.size();
  for (const auto& entry : fs::directory_iterator(model / kTemplateFolder, ignored)) {
    if (entry.path().extension() == ".jinja") names.push_back(text(kTemplateFolder, "/", entry.path().filename().string()));
  }
  std::sort(names.begin() + static_cast<std::ptrdiff_t>(n_single), names.end());
  for (const std::string& name : names) {
    if (!fs::exists(model / name, ignored)) continue;
    COLONNADE_ASSIGN(std::string content, read_small_file(model / name, kMaxFileBytes));
    files.push_back({name, std::move(content)});
  }
  return files;
}

Result<std::unique_ptr<const TensorSource>> open_stored_tensors(const fs::path& model, const std::string& config) {
  if (is_gguf_file(model)) {
    COLONNADE_ASSIGN(const engine::ModelConfig sizes, parse_model_config(config, model.string()));
    COLONNADE_ASSIGN(GgufFiles files, GgufFiles::open(model));
    COLONNADE_ASSIGN(auto tensors, GgufTensors::make(std::move(files), sizes.n_layers, sizes.head_dim));
    return std::unique_ptr<const TensorSource>(std::move(tensors));
  }
  COLONNADE_ASSIGN(QuantizationConfig quantization, QuantizationConfig::parse(config, stored_config_name(model)));
  COLONNADE_ASSIGN(auto tensors, CheckpointTensors::open_directory(model, std::move(quantization)));
  return std::unique_ptr<const TensorSource>(std::move(tensors));
}

Result<std::vector<fs::path>> list_stored_files(const fs::path& model) {
  if (is_gguf_file(model)) return gguf_set(model);
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& folder : {model, model / kTemplateFolder, model / "1_Pooling"})
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      const auto extension = entry.path().extension();
      if (extension == ".json" || extension == ".safetensors" || extension == ".jinja") files.push_back(entry.path());
    }
  std::sort(files.begin(), files.end());
  return files;
}

std::string stored_model_name(const fs::path& model) {
  std::error_code ignored;
  auto path = fs::weakly_canonical(model, ignored);
  if (path.empty()) path = model;
  if (path.extension() == ".gguf") return path.stem().string();
  return path.filename().empty() ? path.parent_path().filename().string() : path.filename().string();
}

}  // namespace colonnade::shard
