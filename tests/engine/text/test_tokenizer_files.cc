// Real tokenizer files against ids that other implementations gave.
#include <catch2/catch.hpp>
#include <chrono>

#include "engine/base/json.h"
#include "tests/engine/text/tokenizer_files.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using colonnade::Json;
using colonnade::engine::SpecialTokens;
using colonnade::engine::Tokenizer;
using colonnade::tests::load_tokenizer;
using colonnade::tests::read_text;
using Ids = std::vector<std::int32_t>;

namespace {

void check_plain_cases(const Tokenizer& tokenizer, const std::filesystem::path& file) {
  const Json cases = Json::parse(read_text(file));
  REQUIRE(cases.size() > 40);
  for (const Json& one : cases) {
    const std::string text = one["text"];
    const Ids ids = one["ids"];
    INFO("text: " << one["text"].dump());
    CHECK(tokenizer.encode(text, SpecialTokens::kPlain, false) == ids);
    CHECK(tokenizer.decode(ids, true) == text);
    CHECK(tokenizer.decode(ids, false) == text);
  }
}

void check_special_cases(const Tokenizer& tokenizer, const std::filesystem::path& file) {
  for (const Json& one : Json::parse(read_text(file))) {
    INFO("text: " << one["text"].dump());
    CHECK(tokenizer.encode(one["text"].get<std::string>(), SpecialTokens::kRecognise, one["add_special_tokens"]) ==
          one["ids"].get<Ids>());
  }
}

}  // namespace

TEST_CASE("stories260K gives the ids of the reference") {
  COLONNADE_SHARED_PATH(folder, "data/tokenizers/stories260K");
  const auto tokenizer = load_tokenizer(folder / "tokenizer.json");
  CHECK(tokenizer->vocab_size() == 512);
  check_plain_cases(*tokenizer, folder / "cases.json");
  check_special_cases(*tokenizer, folder / "cases_special.json");
}

TEST_CASE("llama2 gives the ids of llama.cpp and of sentencepiece") {
  COLONNADE_SHARED_PATH(folder, "data/tokenizers/llama2");
  const auto tokenizer = load_tokenizer(folder / "tokenizer.json");
  CHECK(tokenizer->vocab_size() == 32000);
  check_plain_cases(*tokenizer, folder / "cases.json");
  check_plain_cases(*tokenizer, folder / "cases_sentencepiece.json");
  check_special_cases(*tokenizer, folder / "cases_special.json");
}

TEST_CASE("the tales model's tokenizer encodes its expected texts and goes round with any text") {
  COLONNADE_SHARED_PATH(folder, "models/tales/sparse");
  const auto tokenizer = load_tokenizer(folder / "tokenizer.json");
  CHECK(tokenizer->vocab_size() == 4096);
  COLONNADE_SHARED_PATH(texts, "text/test.txt");
  const std::string text = read_text(texts).substr(0, 200'000);
  const Ids ids = tokenizer->encode(text, SpecialTokens::kPlain, false);
  CHECK(tokenizer->decode(ids, true) == text);
  CHECK(ids.size() < text.size() / 3);
}

TEST_CASE("the demo model's prompts and greedy texts as expected.json has them") {
  const std::filesystem::path folder = colonnade::tests::source_folder() / "deploy/demo";
  const auto tokenizer = load_tokenizer(folder / "tokenizer.json");
  const Json expected = Json::parse(read_text(folder / "expected.json"));
  REQUIRE(expected["prompts"].size() == 4);
  for (const Json& prompt : expected["prompts"]) {
    const Ids ids = prompt["prompt_ids"];
    CHECK(tokenizer->encode(prompt["text"].get<std::string>(), SpecialTokens::kRecognise, true) == ids);
    CHECK(tokenizer->decode(ids, true) == prompt["text"].get<std::string>());
    CHECK(tokenizer->decode(prompt["greedy_ids"].get<Ids>(), true) == prompt["greedy_text"].get<std::string>());
  }
}

TEST_CASE("a megabyte without spaces is one word and does not hang") {
  COLONNADE_SHARED_PATH(folder, "data/tokenizers/llama2");
  const auto tokenizer = load_tokenizer(folder / "tokenizer.json");
  std::string noise(1 << 20, 'a');
  for (std::size_t i = 0; i < noise.size(); i += 3) noise[i] = static_cast<char>('a' + (i * 2654435761u >> 7) % 26);
  for (const std::string& text : {std::string(1 << 20, 'a'), noise}) {
    const auto start = std::chrono::steady_clock::now();
    const Ids ids = tokenizer->encode(text, SpecialTokens::kPlain, false);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
    CHECK(tokenizer->decode(ids, true) == text);
  }
}

TEST_CASE("tokenizers of other kinds are refused by the name of the part") {
  COLONNADE_SHARED_PATH(folder, "data/tokenizers");
  for (const auto& [name, part] : {std::pair{"bert-base-uncased", "normalizer BertNormalizer"},
                                   std::pair{"gpt2", "pre_tokenizer ByteLevel"}, std::pair{"qwen2", "normalizer NFC"}}) {
    const auto loaded = colonnade::engine::load_tokenizer_json(read_text(folder / name / "tokenizer.json"));
    REQUIRE(!loaded.ok());
    CHECK(loaded.error().code == colonnade::ErrorCode::kUnsupported);
    CHECK_THAT(loaded.error().message, Catch::Contains(part));
  }
}
