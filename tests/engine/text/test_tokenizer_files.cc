// Real tokenizer files against ids that other implementations gave.
#include <catch2/catch.hpp>

#include "engine/base/json.h"
#include "engine/text/tokenizer/byte_alphabet.h"
#include "tests/engine/text/tokenizer_files.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"
#include "tests/support/tokenizer_cases.h"

using colonnade::Json;
using Catch::Matchers::Contains;
using colonnade::engine::load_bert_vocabulary;
using colonnade::engine::load_sentencepiece;
using colonnade::engine::load_tiktoken;
using colonnade::engine::SpecialTokens;
using colonnade::engine::Tokenizer;
using colonnade::tests::load_tokenizer;
using colonnade::tests::read_text;
using colonnade::tests::check_plain_cases;
using colonnade::tests::check_special_cases;
using colonnade::tests::Ids;
using colonnade::tests::WayBack;

namespace {

/// The first `n_ranks` tokens of a byte-level tokenizer.json as tiktoken writes them.
std::string tiktoken_file(const Json& json, std::int32_t n_ranks) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string file;
  for (const auto& [content, rank] : json["model"]["vocab"].items()) {
    if (rank >= n_ranks) continue;
    const std::string bytes = colonnade::engine::bytes_of_letters(content).value();
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
      const auto byte = [&](std::size_t i) { return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u; };
      const unsigned bits = byte(0) << 16 | byte(1) << 8 | byte(2);
      for (unsigned i = 0; i < 4; ++i) file += at + i <= bytes.size() ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
    }
    file += " " + std::to_string(rank.get<std::int32_t>()) + "\n";
  }
  return file;
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

TEST_CASE("vocab.txt of BERT gives the ids that its tokenizer.json gives") {
  COLONNADE_SHARED_PATH(folder, "data/tokenizers/bert-base-uncased");
  const colonnade::Json file = colonnade::Json::parse(read_text(folder / "tokenizer.json"));
  std::vector<std::string> tokens(file["model"]["vocab"].size());
  for (const auto& [token, id] : file["model"]["vocab"].items()) tokens.at(id.get<std::size_t>()) = token;
  std::string vocabulary;
  for (const std::string& token : tokens) vocabulary += token + "\n";
  const auto tokenizer = colonnade::engine::load_tokenizer(
      {.tokenizer_json = {}, .tokenizer_model = {}, .tiktoken = {}, .tokenizer_config = R"({"do_lower_case": true, "model_max_length": 512})", .vocabulary = vocabulary});
  REQUIRE(tokenizer.ok());
  CHECK((*tokenizer)->vocab_size() == 30522);
  CHECK(check_plain_cases(**tokenizer, folder / "cases.json", WayBack::kLossy) == 46);
  CHECK(check_special_cases(**tokenizer, folder / "cases_special.json") == 6);
  CHECK((*tokenizer)->encode("Hi", SpecialTokens::kPlain, true) == Ids{101, 7632, 102});
}

TEST_CASE("vocab.txt: what tokenizer_config.json says counts, and what is wrong is named") {
  const std::string vocabulary = "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nhi\r\nHi\r\n##s\r\nh\xc3\xa9\r\nhe";
  const auto ids = [&](const std::string& config, const char* words) {
    const auto tokenizer = load_bert_vocabulary(vocabulary, config);
    REQUIRE(tokenizer.ok());
    return (*tokenizer)->encode(words, SpecialTokens::kPlain, false);
  };
  CHECK(ids("", "Hi his h\xc3\xa9") == Ids{4, 4, 6, 8});
  CHECK(ids(R"({"do_lower_case": false})", "Hi his h\xc3\xa9") == Ids{5, 4, 6, 7});
  CHECK(ids(R"({"strip_accents": false})", "Hi H\xc3\x89") == Ids{4, 7});
  const auto refusal = [](const std::string& words, const std::string& config) {
    const auto tokenizer = load_bert_vocabulary(words, config);
    REQUIRE_FALSE(tokenizer.ok());
    return tokenizer.error().message;
  };
  CHECK_THAT(refusal("[PAD]\n[UNK]\n[CLS]\n", ""), Contains("vocab.txt: expected the token [SEP], found 3 others"));
  CHECK_THAT(refusal(vocabulary, R"({"do_lower_case": 1})"), Contains("tokenizer_config.json: do_lower_case must be true or false"));
  CHECK_THAT(refusal(vocabulary, R"({"do_basic_tokenize": false})"), Contains("do_basic_tokenize"));
  CHECK_THAT(refusal(vocabulary, R"({"cls_token": "<s>"})"), Contains("<s>"));
  CHECK_THAT(refusal(vocabulary, "[]"), Contains("must be an object"));
}

TEST_CASE("tokenizer.model gives the ids of the SentencePiece library") {
  const auto [name, file, n_cases] = GENERATE(table<const char*, const char*, std::size_t>(
      {{"mistral-v3", "cases.json", 494}, {"llama2", "cases.json", 46}, {"llama2", "cases_sentencepiece.json", 448}}));
  COLONNADE_SHARED_PATH(folder, std::string("data/tokenizers/") + name);
  INFO(name);
  const auto tokenizer = load_sentencepiece(read_text(folder / "tokenizer.model"));
  REQUIRE(tokenizer.ok());
  CHECK(check_plain_cases(**tokenizer, folder / file) == n_cases);
  CHECK((*tokenizer)->encode("", SpecialTokens::kPlain, true) == Ids{1});
  // Control pieces are found on request only.
  CHECK((*tokenizer)->encode("</s>", SpecialTokens::kRecognise, false) == Ids{2});
  CHECK((*tokenizer)->encode("</s>", SpecialTokens::kPlain, false).size() > 1);
}

TEST_CASE("a tiktoken file gives what the tokenizer.json of the same ranks gives") {
  const auto [name, ends] = GENERATE(table<const char*, std::int32_t>({{"gpt2", 50256}, {"llama3", 128000}, {"qwen2", 151643}}));
  COLONNADE_SHARED_PATH(folder, std::string("data/tokenizers/") + name);
  INFO(name);
  const std::string ranks = tiktoken_file(Json::parse(read_text(folder / "tokenizer.json")), ends);
  const auto loaded = colonnade::engine::load_tokenizer({{}, ranks, {}, {}, {}});  // Llama 3 has it as tokenizer.model
  REQUIRE(loaded.ok());
  const Tokenizer& tokenizer = **loaded;
  const WayBack way_back = std::string(name) == "qwen2" ? WayBack::kNfc : WayBack::kSame;
  check_plain_cases(tokenizer, folder / "cases.json", way_back);
  check_plain_cases(tokenizer, folder / "cases_derived.json", way_back);
  check_special_cases(tokenizer, folder / "cases_special.json");
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
  const auto file = GENERATE(as<std::string>(), "llama2/tokenizer.json", "llama2/tokenizer.model", "gpt2/tokenizer.json",
                             "llama3/tokenizer.json", "bert-base-uncased/tokenizer.json");
  COLONNADE_SHARED_PATH(folder, "data/tokenizers");
  INFO(file);
  const std::string content = read_text(folder / file);
  const bool json = file.ends_with(".json");
  const auto tokenizer = json ? colonnade::engine::load_tokenizer_json(content) : load_sentencepiece(content);
  REQUIRE(tokenizer.ok());
  std::string noise(1 << 20, 'a');
  for (std::size_t i = 0; i < noise.size(); i += 3) noise[i] = static_cast<char>('a' + (i * 2654435761u >> 7) % 26);
  for (const std::string& text : {std::string(1 << 20, 'a'), noise, std::string(1 << 20, '\xFF')}) {
    const Ids ids = (*tokenizer)->encode(text, SpecialTokens::kPlain, false);
    if (file.starts_with("bert")) CHECK(ids == Ids{100});  // one unknown word
    else CHECK((*tokenizer)->decode(ids, true) == text);
  }
}
