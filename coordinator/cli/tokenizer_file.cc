#include "coordinator/cli/tokenizer_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

Result<std::string> read_tokenizer_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorCode::kIo, text(path.string(), ": cannot be read: ", std::strerror(errno))};
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

Result<std::unique_ptr<engine::Tokenizer>> open_tokenizer(const std::filesystem::path& model) {
  std::error_code ignored;
  std::filesystem::path file = model;
  if (std::filesystem::is_directory(model, ignored)) file /= "tokenizer.json";
  if (!std::filesystem::is_regular_file(file, ignored)) {
    return Error{ErrorCode::kNotFound,
                 text(model.string(), ": expected a directory with a tokenizer.json, or such a file; found neither")};
  }
  COLONNADE_ASSIGN(const std::string content, read_tokenizer_file(file));
  auto tokenizer = engine::load_tokenizer_json(content);
  if (!tokenizer.ok()) {
    return Error{tokenizer.error().code, text(file.parent_path().string(), "/", tokenizer.error().message)};
  }
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
