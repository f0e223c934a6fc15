#include "tests/fuzz/tokenizer_use.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The file up to a zero byte, its tokenizer_config.json behind.
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t end = all.find('\0');
  const std::string_view config = end == all.npos ? std::string_view() : all.substr(end + 1);
  // Files of any number of ranks are read, but only well-known ones become tokenizers.
  colonnade::tests::use_tokenizer(colonnade::engine::load_tiktoken(all.substr(0, end), config));
  return 0;
}
