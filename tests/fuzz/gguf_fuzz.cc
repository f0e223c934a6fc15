#include "shard/gguf.h"
#include "shard/gguf_vocabulary.h"
#include "tests/fuzz/tokenizer_use.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto header = colonnade::shard::read_gguf_header({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!header.ok()) return 0;
  auto vocabulary = colonnade::shard::gguf_vocabulary(*header);
  if (vocabulary.ok()) colonnade::tests::use_tokenizer(colonnade::engine::load_gguf_tokenizer(std::move(vocabulary).value()));
  return 0;
}
