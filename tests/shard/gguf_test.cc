// GGUF headers, and the vocabularies in them.
#include "shard/gguf.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "shard/gguf_vocabulary.h"
#include "shard/tokenizer_source.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"
#include "tests/support/tokenizer_cases.h"

using colonnade::ErrorCode;
using colonnade::engine::SpecialTokens;
using colonnade::shard::GgufHeader;
using colonnade::shard::read_gguf_header;
using colonnade::shard::write_gguf_metadata;
using colonnade::tests::check_plain_cases;
using colonnade::tests::Ids;
using colonnade::tests::WayBack;

namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

GgufHeader small_header() {
  GgufHeader header;
  header.values["general.name"] = std::string("small");
  header.values["general.count"] = std::int64_t{-7};
  header.values["general.factor"] = 0.5;
  header.values["tokenizer.ggml.model"] = std::string("gpt2");
  header.values["tokenizer.ggml.pre"] = std::string("gpt-2");
  header.values["tokenizer.ggml.tokens"] = std::vector<std::string>{"a", "b", "\u0120", "ab", "\u0120ab", "<s>", "<tag>"};
  header.values["tokenizer.ggml.token_type"] = std::vector<std::int64_t>{1, 1, 1, 1, 1, 3, 4};
  header.values["tokenizer.ggml.merges"] = std::vector<std::string>{"a b", "\u0120 ab"};
  header.values["tokenizer.ggml.scores"] = std::vector<double>{0, 0, 0, 0, 0, 0, 0};
  header.values["tokenizer.ggml.bos_token_id"] = std::int64_t{5};
  return header;
}

colonnade::Result<std::unique_ptr<colonnade::engine::Tokenizer>> load(const GgufHeader& header) {
  auto vocabulary = colonnade::shard::gguf_vocabulary(header);
  if (!vocabulary.ok()) return vocabulary.error();
  return colonnade::engine::load_gguf_tokenizer(std::move(vocabulary).value());
}

}  // namespace

TEST_CASE("vocabularies of GGUF files give the ids of llama.cpp") {
  const auto [name, way_back] = GENERATE(table<const char*, WayBack>({{"gguf-gpt-2", WayBack::kSame},
                                                                     {"gguf-llama-spm", WayBack::kSame},
                                                                     {"gguf-deepseek-coder", WayBack::kSame},
                                                                     {"gguf-bert-bge", WayBack::kLossy}}));
  COLONNADE_SHARED_PATH(folder, std::string("data/tokenizers/") + name);
  INFO(name);
  const auto tokenizer = colonnade::shard::open_tokenizer(folder / "vocab.gguf");
  if (!tokenizer.ok()) FAIL(tokenizer.error().message);
  CHECK(check_plain_cases(**tokenizer, folder / "cases.json", way_back) == 46);
  // A packed model keeps only these keys.
  const std::string file = read_file(folder / "vocab.gguf");
  const auto header = read_gguf_header(file, "vocab.gguf");
  REQUIRE(header.ok());
  CHECK(header->tensors.empty());
  const std::vector<colonnade::shard::SourceFile> kept = {{"tokenizer.gguf", write_gguf_metadata(*header, "tokenizer.")}};
  const auto again = colonnade::shard::load_tokenizer(kept);
  REQUIRE(again.ok());
  CHECK(check_plain_cases(**again, folder / "cases.json", way_back) == 46);
}

TEST_CASE("GGUF metadata is read as it was written") {
  const std::string bytes = write_gguf_metadata(small_header(), "");
  const auto header = read_gguf_header(bytes, "small.gguf");
  REQUIRE(header.ok());
  CHECK(header->values == small_header().values);
  CHECK(header->data_begin % 32 == 0);
  CHECK(header->integer("general.count").value() == -7);
  CHECK(header->number("general.factor").value() == 0.5);
  CHECK(header->number("general.count").value() == -7.0);
  CHECK(header->string("general.name").value() == "small");
  CHECK_FALSE(header->string("general.missing").value().has_value());
  CHECK_THAT(header->string("general.count").error().message, Catch::Contains("general.count must be a string, found an integer"));
  const auto part = read_gguf_header(write_gguf_metadata(*header, "tokenizer."), "part");
  REQUIRE(part.ok());
  CHECK(part->values.size() == 7);
}

TEST_CASE("values of all widths and tensors are read") {
  std::string bytes = "GGUF";
  const auto put = [&](auto value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); };
  const auto put_string = [&](std::string_view value) {
    put(std::uint64_t{value.size()});
    bytes += value;
  };
  put(std::uint32_t{2});
  put(std::uint64_t{1});
  put(std::uint64_t{4});
  put_string("byte");
  put(std::uint32_t{1});
  put(std::int8_t{-3});
  put_string("half");
  put(std::uint32_t{6});
  put(0.5f);
  put_string("yes");
  put(std::uint32_t{7});
  put(std::uint8_t{1});
  put_string("list");
  put(std::uint32_t{9});
  put(std::uint32_t{2});
  put(std::uint64_t{2});
  put(std::uint16_t{7});
  put(std::uint16_t{65535});
  put_string("weight");
  put(std::uint32_t{2});
  put(std::uint64_t{64});
  put(std::uint64_t{3});
  put(std::uint32_t{8});
  put(std::uint64_t{128});
  const auto header = read_gguf_header(bytes, "file");
  REQUIRE(header.ok());
  CHECK(header->integer("byte").value() == -3);
  CHECK(header->number("half").value() == 0.5);
  CHECK(header->boolean("yes").value() == true);
  CHECK(header->integers("list").value() == std::vector<std::int64_t>{7, 65535});
  REQUIRE(header->tensors.size() == 1);
  CHECK(header->tensors[0].name == "weight");
  CHECK(header->tensors[0].dims == std::vector<std::uint64_t>{64, 3});
  CHECK(header->tensors[0].type == 8);
  CHECK(header->tensors[0].offset == 128);
  CHECK(header->data_begin == (bytes.size() + 31) / 32 * 32);
  // Whatever is missing at the end is noticed.
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = read_gguf_header(std::string_view(bytes).substr(0, size), "file");
    REQUIRE(!cut.ok());
    CHECK(cut.error().message.find('\n') == std::string::npos);
  }
}

TEST_CASE("damaged GGUF files are refused") {
  const std::string good = write_gguf_metadata(small_header(), "");
  const auto error_of = [](std::string bytes) {
    const auto header = read_gguf_header(bytes, "file");
    REQUIRE(!header.ok());
    return header.error();
  };
  CHECK_THAT(error_of("GGML").message, Catch::Contains("begins with"));
  std::string other = good;
  other[4] = 4;
  CHECK(error_of(other).code == ErrorCode::kUnsupported);
  std::string many = good;
  many[20] = '\x7F';  // 2^61 keys
  CHECK_THAT(error_of(many).message, Catch::Contains("cut off or damaged"));
}

TEST_CASE("a small GGUF vocabulary: merges, control and user-defined tokens, and what is wrong with it") {
  const auto loaded = load(small_header());
  REQUIRE(loaded.ok());
  const auto ids = [&](std::string_view text, SpecialTokens special) { return (*loaded)->encode(text, special, false); };
  CHECK(ids("ab ab", SpecialTokens::kPlain) == Ids{3, 4});
  CHECK(ids("<s>ab", SpecialTokens::kRecognise) == Ids{5, 3});
  CHECK(ids("<s>ab", SpecialTokens::kPlain) == Ids{3});  // no token spells the rest
  CHECK(ids("a<tag>b", SpecialTokens::kPlain) == Ids{0, 6, 1});
  CHECK((*loaded)->encode("ab", SpecialTokens::kPlain, true) == Ids{3});
  CHECK((*loaded)->decode(Ids{3, 4, 5}, true) == "ab ab");
  const auto check_error = [](const char* key, colonnade::shard::GgufValue value, ErrorCode code, const char* words) {
    GgufHeader header = small_header();
    header.values[key] = std::move(value);
    const auto wrong = load(header);
    REQUIRE(!wrong.ok());
    CHECK(wrong.error().code == code);
    CHECK_THAT(wrong.error().message, Catch::Contains(words));
  };
  check_error("tokenizer.ggml.model", std::string("rwkv"), ErrorCode::kUnsupported, "\"rwkv\" is not supported");
  check_error("tokenizer.ggml.pre", std::string("nobody"), ErrorCode::kUnsupported, "tokenizer.ggml.pre \"nobody\"");
  check_error("tokenizer.ggml.tokens", std::string("a"), ErrorCode::kCorrupt, "tokens must be a list of strings");
  check_error("tokenizer.ggml.tokens", std::vector<std::string>{}, ErrorCode::kCorrupt, "at least one token");
  check_error("tokenizer.ggml.token_type", std::vector<std::int64_t>{1}, ErrorCode::kCorrupt, "7 numbers, found 1");
  check_error("tokenizer.ggml.merges", std::vector<std::string>{"ab"}, ErrorCode::kCorrupt, "merges[0]");
  check_error("tokenizer.ggml.bos_token_id", std::int64_t{7}, ErrorCode::kCorrupt, "below 7, found 7");
  GgufHeader none;
  CHECK(load(none).error().code == ErrorCode::kNotFound);
}
