// Real tokenizer files against ids that other implementations gave.
#include <catch2/catch.hpp>
#include <chrono>

#include "engine/base/json.h"
#include "engine/text/tokenizer/unicode.h"
#include "engine/text/utf8.h"
#include "tests/engine/text/tokenizer_files.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using colonnade::Json;
using colonnade::engine::is_valid_utf8;
using colonnade::engine::NormalForm;
using colonnade::engine::normalize;
using colonnade::engine::SpecialTokens;
using colonnade::engine::StreamDecoder;
using colonnade::engine::Tokenizer;
using colonnade::tests::load_tokenizer;
using colonnade::tests::read_text;
using Ids = std::vector<std::int32_t>;

namespace {

/// Streaming gives whole characters, and the same text in the end.
void check_stream(const Tokenizer& tokenizer, const Ids& ids, const std::string& expected) {
  StreamDecoder decoder(tokenizer, {}, true);
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string piece = decoder.push(id);
    CHECK(is_valid_utf8(piece));
    text += piece;
  }
  text += decoder.finish();
  CHECK(text == expected);
}

enum class WayBack { kSame, kNfc, kLossy };

/// The number of cases.
std::size_t check_plain_cases(const Tokenizer& tokenizer, const std::filesystem::path& file, WayBack way_back = WayBack::kSame) {
  const Json cases = Json::parse(read_text(file));
  for (const Json& one : cases) {
    const std::string text = one["text"];
    const Ids ids = one["ids"];
    INFO("text: " << one["text"].dump());
    CHECK(tokenizer.encode(text, SpecialTokens::kPlain, false) == ids);
    if (way_back == WayBack::kLossy) continue;
    const std::string expected = way_back == WayBack::kSame ? text : normalize(text, NormalForm::kNfc);
    CHECK(tokenizer.decode(ids, true) == expected);
    CHECK(tokenizer.decode(ids, false) == expected);
    check_stream(tokenizer, ids, expected);
  }
  return cases.size();
}

std::size_t check_special_cases(const Tokenizer& tokenizer, const std::filesystem::path& file) {
  const Json cases = Json::parse(read_text(file));
  for (const Json& one : cases) {
    INFO("text: " << one["text"].dump());
    CHECK(tokenizer.encode(one["text"].get<std::string>(), SpecialTokens::kRecognise, one["add_special_tokens"]) ==
          one["ids"].get<Ids>());
  }
  return cases.size();
}

}  // namespace

TEST_CASE("tokenizer.json of each family gives the ids of the references") {
  struct Family {
    const char* folder;
    int vocab_size;
    std::size_t n_cases, n_derived, n_special;
    WayBack way_back = WayBack::kSame;
    const char* derived = "cases_derived.json";
  };
  const auto family = GENERATE(values<Family>({
      {"gpt2", 50257, 455, 40, 6},
      {"qwen2", 151646, 46, 449, 6, WayBack::kNfc},
      {"llama3", 128256, 46, 449, 7},
      {"o200k", 200019, 204, 85, 6},
      {"llama2", 32000, 46, 448, 7, WayBack::kSame, "cases_sentencepiece.json"},
      {"stories260K", 512, 87, 0, 4},
      {"bert-base-uncased", 30522, 46, 0, 6, WayBack::kLossy},
  }));
  COLONNADE_SHARED_PATH(folder, std::string("data/tokenizers/") + family.folder);
  INFO(family.folder);
  const auto tokenizer = load_tokenizer(folder / "tokenizer.json");
  CHECK(tokenizer->vocab_size() == family.vocab_size);
  CHECK(check_plain_cases(*tokenizer, folder / "cases.json", family.way_back) == family.n_cases);
  if (family.n_derived > 0) {
    CHECK(check_plain_cases(*tokenizer, folder / family.derived, family.way_back) == family.n_derived);
  }
  CHECK(check_special_cases(*tokenizer, folder / "cases_special.json") == family.n_special);
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
