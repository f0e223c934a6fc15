#include "coordinator/cli/tokenizer_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "engine/base/format_text.h"
#include "shard/manifest.h"

namespace colonnade::cli {
namespace {

Result<std::string> read_tokenizer_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorCode::kIo, text(path.string(), ": cannot be read: ", std::strerror(errno))};
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// The text of the tokenizer.json of `model`.
Result<std::string> tokenizer_content(const std::filesystem::path& model) {
  std::error_code ignored;
  if (shard::is_packed_model(model)) {
    COLONNADE_ASSIGN(const shard::Manifest manifest, shard::read_manifest(model));
    const std::string* content = manifest.source_file("tokenizer.json");
    if (content != nullptr) return *content;
    return Error{ErrorCode::kNotFound, text(model.string(), ": expected a packed model with a tokenizer.json, found none in it")};
  }
  const bool directory = std::filesystem::is_directory(model, ignored);
  const std::filesystem::path file = directory ? model / "tokenizer.json" : model;
  if (std::filesystem::is_regular_file(file, ignored)) return read_tokenizer_file(file);
  return Error{ErrorCode::kNotFound,
               text(model.string(), ": expected a directory with a tokenizer.json, a packed model or a tokenizer.json, found ",
                    directory ? "a directory without any" : "no such file")};
}

}  // namespace

Result<std::unique_ptr<engine::Tokenizer>> open_tokenizer(const std::filesystem::path& model) {
  COLONNADE_ASSIGN(const std::string content, tokenizer_content(model));
  auto tokenizer = engine::load_tokenizer_json(content);
  if (!tokenizer.ok()) return Error{tokenizer.error().code, text(model.string(), ": ", tokenizer.error().message)};
  return tokenizer;
}

Result<std::string> read_standard_input() {
  std::string content;
  char buffer[65536];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, stdin)) content.append(buffer, n);
  if (std::ferror(stdin)) return Error{ErrorCode::kIo, text("standard input cannot be read: ", std::strerror(errno))};
  return content;
}

}  // namespace colonnade::cli
