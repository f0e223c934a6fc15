// Normalizers, pre-tokenizers and decoders one by one, against what Hugging Face's tokenizers library gives for the same
// parts (tests/data/tokenizers/parts.json).
#include <catch2/catch.hpp>

#include "engine/base/json.h"
#include "engine/text/tokenizer/normalizer.h"
#include "engine/text/tokenizer/pre_tokenizer.h"
#include "engine/text/tokenizer/token_decoder.h"
#include "engine/text/utf8.h"
#include "tests/engine/text/tokenizer_files.h"

using colonnade::Json;
using namespace colonnade::engine;
using colonnade::tests::tokenizer_data;

namespace {

Json expected(const char* kind) {
  const Json list = Json::parse(colonnade::tests::read_text(tokenizer_data() / "parts.json"))[kind];
  REQUIRE(list.size() > 10);
  return list;
}

}  // namespace

TEST_CASE("each normalizer gives the library's text") {
  for (const Json& one : expected("normalizers")) {
    const auto steps = make_normalizer(one["part"]);
    if (!steps.ok()) FAIL(steps.error().message);
    for (const Json& example : one["cases"]) {
      INFO(one["part"].dump() << " on " << example[0].dump());
      CHECK(normalize_with(*steps, example[0]) == example[1].get<std::string>());
    }
  }
}

TEST_CASE("each pre-tokenizer gives the library's words") {
  for (const Json& one : expected("pre_tokenizers")) {
    bool bytes = false;
    const auto steps = make_pre_tokenizer(one["part"], bytes);
    if (!steps.ok()) FAIL(steps.error().message);
    for (const Json& example : one["cases"]) {
      INFO(one["part"].dump() << " on " << example[0].dump());
      const std::string text = example[0];
      Pieces pieces(text, true);
      for (const auto& step : *steps) step->apply(pieces);
      Json words = Json::array();
      for (const Piece& piece : pieces.list()) words.push_back(std::string(piece.text));
      CHECK(words == example[1]);
    }
  }
}

TEST_CASE("each decoder gives the library's text, piece by piece") {
  for (const Json& one : expected("decoders")) {
    const auto steps = make_decoder(one["part"]);
    if (!steps.ok()) FAIL(steps.error().message);
    for (const Json& example : one["cases"]) {
      INFO(one["part"].dump() << " on " << example[0].dump());
      DecoderSteps chain;
      for (const auto& step : *steps) chain.push_back(step->fresh());
      Utf8Assembler characters;
      std::string text;
      for (std::string piece : example[0]) {
        for (const auto& step : chain) piece = step->push(std::move(piece));
        text += characters.push(piece);
      }
      std::string kept;
      for (const auto& step : chain) {
        kept = kept.empty() ? "" : step->push(kept);
        kept += step->finish();
      }
      text += characters.push(kept);
      text += characters.finish();
      CHECK(text == example[1].get<std::string>());
    }
  }
}
