#include "shard/tokenizer_source.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "engine/base/format_text.h"
#include "shard/gguf_file.h"
#include "shard/gguf_vocabulary.h"
#include "shard/mapped_file.h"

namespace colonnade::shard {
namespace {

constexpr std::uint64_t kMostBytes = 256u << 20;
constexpr const char* kBertVocabulary = "vocab.txt";

bool is_tiktoken_name(std::string_view name) { return name == "tiktoken.model" || name.ends_with(".tiktoken"); }

Result<std::unique_ptr<engine::Tokenizer>> load_gguf(std::string_view bytes, std::string_view name) {
  COLONNADE_ASSIGN(const GgufHeader header, read_gguf_header(bytes, name));
  COLONNADE_ASSIGN(engine::GgufVocabulary vocabulary, gguf_vocabulary(header));
  return engine::load_gguf_tokenizer(std::move(vocabulary));
}

Result<std::unique_ptr<engine::Tokenizer>> load_directory(const std::filesystem::path& directory) {
  std::vector<SourceFile> files;
  std::error_code ignored;
  for (const std::string& name : {tokenizer_file_name(directory), std::string("tokenizer_config.json")}) {
    if (name.empty() || !std::filesystem::exists(directory / name, ignored)) continue;
    COLONNADE_ASSIGN(std::string content, read_small_file(directory / name, kMostBytes));
    files.push_back({name, std::move(content)});
  }
  return load_tokenizer(files);
}

/// A file of its own: its content says of which kind it is.
Result<std::unique_ptr<engine::Tokenizer>> load_file(const std::filesystem::path& path) {
  if (is_gguf_file(path)) {
    COLONNADE_ASSIGN(const GgufHeader header, read_gguf_file_header(path));
    COLONNADE_ASSIGN(engine::GgufVocabulary vocabulary, gguf_vocabulary(header));
    return engine::load_gguf_tokenizer(std::move(vocabulary));
  }
  COLONNADE_ASSIGN(const MappedFile file, MappedFile::open(path));
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (bytes.size() > kMostBytes) {
    return Error{ErrorCode::kExhausted, text("a tokenizer may have ", kMostBytes, " bytes, found ", bytes.size())};
  }
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  if (path.extension() == ".json" || (first != bytes.npos && bytes[first] == '{')) return engine::load_tokenizer_json(bytes);
  engine::TokenizerFiles files;
  (path.filename() == kBertVocabulary ? files.vocabulary : files.tokenizer_model) = bytes;
  return engine::load_tokenizer(files);
}

Result<std::unique_ptr<engine::Tokenizer>> load_any(const std::filesystem::path& model) {
  if (is_packed_model(model)) {
    COLONNADE_ASSIGN(const Manifest manifest, read_manifest(model));
    return load_tokenizer(manifest.source_files);
  }
  std::error_code ignored;
  return std::filesystem::is_directory(model, ignored) ? load_directory(model) : load_file(model);
}

}  // namespace

std::string tokenizer_file_name(const std::filesystem::path& directory) {
  std::error_code ignored;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tiktoken.model"}) {
    if (std::filesystem::is_regular_file(directory / name, ignored)) return name;
  }
  std::string found;
  std::filesystem::directory_iterator entry(directory, ignored);
  for (; !ignored && entry != std::filesystem::directory_iterator(); entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    if (is_tiktoken_name(name) && (found.empty() || name < found)) found = name;
  }
  if (found.empty() && std::filesystem::is_regular_file(directory / kBertVocabulary, ignored)) found = kBertVocabulary;
  return found;
}

Result<std::unique_ptr<engine::Tokenizer>> load_tokenizer(std::span<const SourceFile> files) {
  engine::TokenizerFiles sorted;
  for (const SourceFile& file : files) {
    if (file.name == kGgufTokenizerFile) return load_gguf(file.content, file.name);
    if (file.name == "tokenizer.json") sorted.tokenizer_json = file.content;
    else if (file.name == "tokenizer.model") sorted.tokenizer_model = file.content;
    else if (file.name == "tokenizer_config.json") sorted.tokenizer_config = file.content;
    else if (file.name == kBertVocabulary) sorted.vocabulary = file.content;
    else if (is_tiktoken_name(file.name)) sorted.tiktoken = file.content;
  }
  return engine::load_tokenizer(sorted);
}

Result<std::unique_ptr<engine::Tokenizer>> open_tokenizer(const std::filesystem::path& model) {
  auto tokenizer = load_any(model);
  if (tokenizer.ok() || tokenizer.error().message.starts_with(model.string())) return tokenizer;
  return Error{tokenizer.error().code, text(model.string(), ": ", tokenizer.error().message)};
}

}  // namespace colonnade::shard
