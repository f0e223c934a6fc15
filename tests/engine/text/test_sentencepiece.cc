// SentencePiece models against the library (tests/data/tokenizers), and files that are wrong.
#include <catch2/catch.hpp>
#include <thread>

#include "engine/base/json.h"
#include "engine/text/tokenizer/charsmap.h"
#include "tests/engine/text/tokenizer_files.h"
#include "tests/support/tokenizer_cases.h"

using colonnade::ErrorCode;
using colonnade::Json;
using namespace colonnade::engine;
using colonnade::tests::Ids;
using colonnade::tests::read_text;
using colonnade::tests::tokenizer_data;

namespace {

std::unique_ptr<Tokenizer> tiny(const std::string& name, std::string_view config = {}) {
  auto tokenizer = load_sentencepiece(read_text(tokenizer_data() / (name + ".model")), config);
  if (!tokenizer.ok()) FAIL(tokenizer.error().message);
  return std::move(tokenizer).value();
}

/// A field with a length, as Protobuf writes it.
std::string field(int number, std::string_view content) {
  std::string bytes(1, static_cast<char>(number << 3 | 2));
  std::size_t size = content.size();
  for (; size >= 128; size >>= 7) bytes += static_cast<char>((size & 127) | 128);
  bytes += static_cast<char>(size);
  return bytes.append(content);
}
std::string flag(int number, int value) {
  std::string bytes;
  for (int key = number << 3; key != 0; key >>= 7) bytes += static_cast<char>((key & 127) | (key >= 128 ? 128 : 0));
  return bytes += static_cast<char>(value);
}
std::string piece(std::string_view content, int type) { return field(1, field(1, content) + flag(3, type)); }

}  // namespace

TEST_CASE("small models give the ids and texts of the library") {
  const std::string name = GENERATE("tiny_unigram", "tiny_bpe", "tiny_suffix");
  const auto tokenizer = tiny(name);
  const Json cases = Json::parse(read_text(tokenizer_data() / "sentencepiece.json"))[name];
  REQUIRE(cases.size() == 20);
  for (const Json& one : cases) {
    INFO(name << " on " << one[0].dump());
    const Ids ids = one[1];
    CHECK(tokenizer->encode(one[0].get<std::string>(), SpecialTokens::kPlain, false) == ids);
    const std::string decoded = tokenizer->decode(ids, true);
    CHECK(decoded == one[2].get<std::string>());
    colonnade::tests::check_stream(*tokenizer, ids, decoded);
  }
}

TEST_CASE("special tokens of a model: on request, around a text, and by its configuration") {
  const auto plain = tiny("tiny_bpe");
  const Ids a = plain->encode("a", SpecialTokens::kPlain, false);
  Ids with_bos = a;
  with_bos.insert(with_bos.begin(), 1);
  CHECK(plain->encode("a", SpecialTokens::kPlain, true) == with_bos);
  CHECK(plain->encode("<s>", SpecialTokens::kRecognise, false) == Ids{1});
  CHECK(plain->is_special(1));
  CHECK(plain->is_special(2));
  CHECK(plain->token_text(3) == "<tag>");
  CHECK_FALSE(plain->is_special(3));
  CHECK(plain->token_bytes(3) == "<tag>");
  CHECK(plain->token_bytes(1).empty());
  const auto configured = tiny("tiny_bpe", R"({"add_bos_token": false, "add_eos_token": true, "added_tokens_decoder":
      {"480": {"content": "<pad>", "special": true}}})");
  Ids with_eos = a;
  with_eos.push_back(2);
  CHECK(configured->encode("a", SpecialTokens::kPlain, true) == with_eos);
  CHECK(configured->encode("<pad>", SpecialTokens::kRecognise, false) == Ids{480});
  CHECK(configured->vocab_size() == 481);
  CHECK(!load_sentencepiece(read_text(tokenizer_data() / "tiny_bpe.model"), R"({"added_tokens_decoder": {"x": {}}})").ok());
}

TEST_CASE("threads share a tokenizer") {
  const std::string name = GENERATE("tiny_unigram", "tiny_bpe");
  const auto tokenizer = tiny(name);
  std::string text;
  for (int i = 0; i < 200; ++i) text += "she sells " + std::to_string(i) + " shells, " + std::string(static_cast<std::size_t>(i % 60), 'x') + "\n";
  const Ids expected = tiny(name)->encode(text, SpecialTokens::kPlain, true);
  std::vector<Ids> found(4);
  std::vector<std::thread> threads;
  for (Ids& ids : found) threads.emplace_back([&] { ids = tokenizer->encode(text, SpecialTokens::kPlain, true); });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& ids : found) CHECK(ids == expected);
}

TEST_CASE("bytes that are not UTF-8 become byte tokens and come back") {
  for (const char* name : {"tiny_unigram", "tiny_bpe"}) {
    const auto tokenizer = tiny(name);
    const std::string bytes = "a\xFF\xC3(\xE2\x82\xF4\x8F\xBF\xBF" "b";
    CHECK(tokenizer->decode(tokenizer->encode(bytes, SpecialTokens::kPlain, false), true) == bytes);
  }
}

TEST_CASE("files that are no SentencePiece model are refused") {
  const auto check = [](const std::string& bytes, ErrorCode code, const char* words) {
    const auto loaded = load_sentencepiece(bytes);
    REQUIRE(!loaded.ok());
    CHECK(loaded.error().code == code);
    CHECK_THAT(loaded.error().message, Catch::Contains(words));
  };
  const std::string unknown = piece("<unk>", 2);
  check("", ErrorCode::kCorrupt, "no pieces");
  check("hello world", ErrorCode::kCorrupt, "tokenizer.model");
  check(unknown + "\x0A\x7F", ErrorCode::kCorrupt, "no Protobuf message");
  check(unknown + piece("a", 9), ErrorCode::kCorrupt, "a piece");
  check(unknown + piece("", 1), ErrorCode::kCorrupt, "at least one byte, piece 1");
  check(unknown + piece("a", 1) + piece("a", 1), ErrorCode::kCorrupt, "must differ, piece 2");
  check(unknown + field(2, flag(3, 3)), ErrorCode::kUnsupported, "model_type must be 1 (Unigram) or 2 (BPE), found 3");
  check(unknown + field(3, field(2, "\x08\x01\x01\x01")), ErrorCode::kCorrupt, "charsmap");
  check(unknown + field(2, flag(3, 2)) + piece(std::string(5000, 'a'), 1), ErrorCode::kUnsupported, "1024 bytes");
  const std::string good = read_text(tokenizer_data() / "tiny_bpe.model");
  for (std::size_t size = 0; size < good.size(); size += 7) (void)load_sentencepiece(std::string_view(good).substr(0, size));
}

TEST_CASE("a charsmap finds the shortest or the longest rule and never leaves its bytes") {
  // Rules "a" and "ab", by hand: node of a child = offset of the parent ^ byte.
  std::vector<std::uint32_t> units(1024);
  const auto offset = [](std::uint32_t value) { return value << 10; };
  units[0] = offset(256);
  units[256 ^ 'a'] = offset(512) | 1 << 8 | 'a';
  units[256 ^ 'a' ^ 512] = 1u << 31;  // replacement at 0
  units[256 ^ 'a' ^ 512 ^ 'b'] = offset(64) | 1 << 8 | 'b';
  units[256 ^ 'a' ^ 512 ^ 'b' ^ 64] = 1u << 31 | 3;
  std::string bytes(4, '\0');
  bytes[1] = 16;  // 4096 bytes of units
  for (const std::uint32_t unit : units) {
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(unit >> (8 * i) & 0xFF);
  }
  bytes.append("XY\0long\0", 8);
  const auto map = Charsmap::parse(bytes);
  REQUIRE(map.ok());
  CHECK(map->find("abc", Charsmap::Prefer::kShortest).replacement == "XY");
  CHECK(map->find("abc", Charsmap::Prefer::kLongest).replacement == "long");
  CHECK(map->find("abc", Charsmap::Prefer::kLongest).size == 2);
  CHECK(map->find("ac", Charsmap::Prefer::kLongest).size == 1);
  CHECK(map->find("b", Charsmap::Prefer::kLongest).size == 0);
  CHECK(map->find("", Charsmap::Prefer::kLongest).size == 0);
  CHECK(Charsmap::parse("").value().empty());
  CHECK(!Charsmap::parse("abc").ok());
  std::string wild = bytes;
  for (std::size_t i = 4; i < wild.size(); ++i) wild[i] = static_cast<char>(i * 37 | 0x80);
  for (int byte = 0; byte < 256; ++byte) (void)Charsmap::parse(wild)->find(std::string(9, static_cast<char>(byte)), Charsmap::Prefer::kLongest);
}
