#include <catch2/catch.hpp>
#include <random>

#include "engine/text/utf8.h"
#include "tests/engine/text/tokenizer_files.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using colonnade::engine::replace_invalid_utf8;
using colonnade::engine::StreamDecoder;
using colonnade::engine::Tokenizer;
using colonnade::tests::load_tokenizer;
using Ids = std::vector<std::int32_t>;

namespace {

/// The whole text at once, written from the rules of a Llama-2 file without the decoder's code.
std::string decode_at_once(const Tokenizer& tokenizer, const Ids& ids) {
  std::string bytes;
  for (const std::int32_t id : ids) {
    std::string piece = tokenizer.is_special(id) ? "" : tokenizer.token_text(id);
    if (piece.size() == 6 && piece.rfind("<0x", 0) == 0) piece = static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16));
    for (std::size_t at; (at = piece.find("▁")) != std::string::npos; piece.erase(at + 1, 2)) piece[at] = ' ';
    bytes += piece;
  }
  return !bytes.empty() && bytes[0] == ' ' ? bytes.substr(1) : bytes;
}

}  // namespace

TEST_CASE("pieces are whole characters and together the text, for random tokens") {
  COLONNADE_SHARED_PATH(folder, "data/tokenizers/stories260K");
  const auto tokenizer = load_tokenizer(folder / "tokenizer.json");
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    Ids ids(random() % 30);
    // Mostly bytes of characters beyond ASCII, which fall apart and together in every way.
    for (auto& id : ids) {
      id = static_cast<std::int32_t>(random() % 3 == 0 ? random() % 520 : 3 + 0x80 + random() % 0x80);
    }
    StreamDecoder decoder(*tokenizer, {}, true);
    std::string text;
    for (const std::int32_t id : ids) {
      const std::string piece = decoder.push(id);
      CHECK(replace_invalid_utf8(piece) == piece);
      text += piece;
    }
    text += decoder.finish();
    REQUIRE(text == replace_invalid_utf8(decode_at_once(*tokenizer, ids)));
    REQUIRE(tokenizer->decode(ids, true) == decode_at_once(*tokenizer, ids));
  }
}

TEST_CASE("the prompt decides about the first space and is not emitted") {
  COLONNADE_SHARED_PATH(folder, "data/tokenizers/stories260K");
  const auto tokenizer = load_tokenizer(folder / "tokenizer.json");
  const Ids ids = tokenizer->encode("Once upon a time", colonnade::engine::SpecialTokens::kPlain, false);
  for (std::size_t cut = 0; cut <= ids.size(); ++cut) {
    const std::span<const std::int32_t> all(ids);
    StreamDecoder decoder(*tokenizer, all.first(cut), true);
    std::string rest;
    for (const std::int32_t id : all.subspan(cut)) rest += decoder.push(id);
    CHECK(tokenizer->decode(all.first(cut), true) + rest == "Once upon a time");
  }
  StreamDecoder after_bos(*tokenizer, Ids{1}, true);
  CHECK(after_bos.push(ids[0]) == "Once");
}

TEST_CASE("a character split over tokens comes out with its last byte, a broken one as U+FFFD") {
  COLONNADE_SHARED_PATH(folder, "data/tokenizers/stories260K");
  const auto tokenizer = load_tokenizer(folder / "tokenizer.json");
  StreamDecoder decoder(*tokenizer, {}, true);
  CHECK(decoder.push(3 + 0xF0) == "");
  CHECK(decoder.push(3 + 0x9F) == "");
  CHECK(decoder.push(3 + 0x98) == "");
  CHECK(decoder.push(3 + 0x80) == "\xF0\x9F\x98\x80");
  CHECK(decoder.push(3 + 0xE2) == "");
  CHECK(decoder.push(3 + 'a') == "\xEF\xBF\xBD" "a");
  CHECK(decoder.push(3 + 0xE2) == "");
  CHECK(decoder.finish() == "\xEF\xBF\xBD");
}
