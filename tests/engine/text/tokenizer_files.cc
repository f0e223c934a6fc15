#include "tests/engine/text/tokenizer_files.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "engine/base/json.h"
#include "tests/support/shared_data.h"

namespace colonnade::tests {

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::filesystem::path tokenizer_data() { return source_folder() / "tests/data/tokenizers"; }

std::unique_ptr<engine::Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  auto tokenizer = engine::load_tokenizer_json(read_text(path));
  if (!tokenizer.ok()) FAIL(tokenizer.error().message);
  return std::move(tokenizer).value();
}

std::string small_tokenizer_json() {
  Json file = Json::parse(R"({
    "added_tokens": [
      {"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "<s>", "special": true},
      {"id": 2, "content": "</s>", "special": true}, {"id": 300, "content": "<tag>", "special": false, "normalized": false}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
      "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2}, "merges": ["l l", ["h", "e"], "he ll", "▁ hell"]}
  })");
  Json& vocab = file["model"]["vocab"];
  const char* digits = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    vocab[std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">"] = 3 + byte;
  }
  int next = 259;
  for (const char* token : {"▁", "h", "e", "l", "o", "ll", "he", "hell", "▁hell"}) vocab[token] = next++;
  return file.dump();
}

}  // namespace colonnade::tests
