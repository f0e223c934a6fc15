#include "coordinator/cli/tokenizer_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "engine/base/format_text.h"
#include "shard/tokenizer_source.h"

namespace colonnade::cli {
Result<std::unique_ptr<engine::Tokenizer>> open_tokenizer(const std::filesystem::path& model) {
  return shard::open_tokenizer(model);
}

Result<std::string> read_standard_input() {
  std::string content;
  char buffer[65536];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, stdin)) content.append(buffer, n);
  if (std::ferror(stdin)) return Error{ErrorCode::kIo, text("standard input cannot be read: ", std::strerror(errno))};
  return content;
}

}  // namespace colonnade::cli
