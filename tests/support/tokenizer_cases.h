// Case files of ../shared/data/tokenizers: texts and the ids that other implementations give.
#pragma once

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/text/tokenizer.h"
#include "engine/text/tokenizer/unicode.h"
#include "engine/text/utf8.h"

namespace colonnade::tests {

using Ids = std::vector<std::int32_t>;

/// Streaming gives whole characters, and the same text in the end.
inline void check_stream(const engine::Tokenizer& tokenizer, const Ids& ids, const std::string& expected) {
  engine::StreamDecoder decoder(tokenizer, {}, true);
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string piece = decoder.push(id);
    CHECK(engine::is_valid_utf8(piece));
    text += piece;
  }
  text += decoder.finish();
  CHECK(text == expected);
}

inline Json read_cases(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  REQUIRE(in.good());
  return Json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
}

/// What decoding gives: the text, its normal form C, or something else.
enum class WayBack { kSame, kNfc, kLossy };

/// The number of cases.
inline std::size_t check_plain_cases(const engine::Tokenizer& tokenizer, const std::filesystem::path& file, WayBack way_back = WayBack::kSame) {
  const Json cases = read_cases(file);
  for (const Json& one : cases) {
    const std::string text = one["text"];
    const Ids ids = one["ids"];
    INFO("text: " << one["text"].dump());
    CHECK(tokenizer.encode(text, engine::SpecialTokens::kPlain, false) == ids);
    if (way_back == WayBack::kLossy) continue;
    const std::string expected = way_back == WayBack::kSame ? text : engine::normalize(text, engine::NormalForm::kNfc);
    CHECK(tokenizer.decode(ids, true) == expected);
    CHECK(tokenizer.decode(ids, false) == expected);
    check_stream(tokenizer, ids, expected);
  }
  return cases.size();
}

inline std::size_t check_special_cases(const engine::Tokenizer& tokenizer, const std::filesystem::path& file) {
  const Json cases = read_cases(file);
  for (const Json& one : cases) {
    INFO("text: " << one["text"].dump());
    CHECK(tokenizer.encode(one["text"].get<std::string>(), engine::SpecialTokens::kRecognise, one["add_special_tokens"]) ==
          one["ids"].get<Ids>());
  }
  return cases.size();
}

}  // namespace colonnade::tests
