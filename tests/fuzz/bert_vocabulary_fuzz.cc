#include <algorithm>
#include <string_view>

#include "tests/fuzz/tokenizer_use.h"

/// vocab.txt, a zero byte, tokenizer_config.json.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(all.find('\0'), size);
  colonnade::tests::use_tokenizer(colonnade::engine::load_bert_vocabulary(all.substr(0, cut), all.substr(std::min(cut + 1, size))));
  return 0;
}
