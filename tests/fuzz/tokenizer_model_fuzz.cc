#include "tests/fuzz/tokenizer_use.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  colonnade::tests::use_tokenizer(colonnade::engine::load_sentencepiece({reinterpret_cast<const char*>(data), size}));
  return 0;
}
