// Rules of the parts, on a small file, and files that are wrong.
#include <catch2/catch.hpp>
#include <random>

#include "engine/base/json.h"
#include "engine/text/tokenizer/merge_table.h"
#include "tests/engine/text/tokenizer_files.h"

using colonnade::ErrorCode;
using colonnade::Json;
using colonnade::engine::load_tokenizer_json;
using colonnade::engine::MergeTable;
using colonnade::engine::SpecialTokens;
using colonnade::engine::Tokenizer;
using colonnade::tests::small_tokenizer_json;
using Ids = std::vector<std::int32_t>;

namespace {

std::unique_ptr<Tokenizer> small(const Json& patch = Json::object()) {
  Json file = Json::parse(small_tokenizer_json());
  file.merge_patch(patch);
  auto tokenizer = load_tokenizer_json(file.dump());
  if (!tokenizer.ok()) FAIL(tokenizer.error().message);
  return std::move(tokenizer).value();
}

Ids plain(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, SpecialTokens::kPlain, false);
}

}  // namespace

TEST_CASE("merges are taken by rank, as strings and as pairs") {
  const auto tokenizer = small();
  CHECK(plain(*tokenizer, "hello") == Ids{267, 263});
  CHECK(plain(*tokenizer, "hell") == Ids{267});
  CHECK(plain(*tokenizer, "x") == Ids{259, 3 + 'x'});
  CHECK(plain(*tokenizer, "").empty());
}

TEST_CASE("every byte that is not UTF-8 becomes its own byte token and comes back") {
  const auto tokenizer = small();
  CHECK(plain(*tokenizer, "\xFFo\xE2\x82") == Ids{259, 3 + 0xFF, 263, 3 + 0xE2, 3 + 0x82});
  CHECK(plain(*tokenizer, std::string_view("\0", 1)) == Ids{259, 3});
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(tokenizer->decode(plain(*tokenizer, all), true) == all);
}

TEST_CASE("what neither the vocabulary nor bytes can spell is the unknown token, fused on request") {
  const auto fused = small({{"model", {{"byte_fallback", false}}}});
  CHECK(plain(*fused, "xyh\xFF") == Ids{259, 0, 260, 0});
  const auto apart = small({{"model", {{"byte_fallback", false}, {"fuse_unk", false}}}});
  CHECK(plain(*apart, "xyh") == Ids{259, 0, 0, 260});
  const auto dropped = small({{"model", {{"byte_fallback", false}, {"unk_token", nullptr}}}});
  CHECK(plain(*dropped, "xyh") == Ids{259, 260});
}

TEST_CASE("ignore_merges takes a word that is a token") {
  const Json patch = {{"model", {{"ignore_merges", true}, {"vocab", {{"▁hello", 268}}}}}};
  CHECK(plain(*small(patch), "hello") == Ids{268});
  CHECK(plain(*small(patch), "hello ") == Ids{267, 263, 259});
}

TEST_CASE("added tokens: special ones only when recognised, others always") {
  const auto tokenizer = small();
  CHECK(tokenizer->encode("o</s>o", SpecialTokens::kRecognise, false) == Ids{259, 263, 2, 259, 263});
  CHECK(tokenizer->encode("</s>", SpecialTokens::kRecognise, true) == Ids{1, 2});
  CHECK(plain(*tokenizer, "</s>") == Ids{259, 3 + '<', 3 + '/', 3 + 's', 3 + '>'});
  CHECK(plain(*tokenizer, "o<tag>o") == Ids{259, 263, 300, 259, 263});
  CHECK(tokenizer->token_id("<tag>") == 300);
  CHECK(tokenizer->token_id("▁hell") == 267);
  CHECK(tokenizer->token_id("nothing") == -1);
  CHECK(tokenizer->token_text(300) == "<tag>");
  CHECK(tokenizer->token_text(280).empty());
  CHECK(tokenizer->token_text(-1).empty());
  CHECK(tokenizer->vocab_size() == 301);
  CHECK(tokenizer->is_special(2));
  CHECK_FALSE(tokenizer->is_special(300));
  CHECK_FALSE(tokenizer->is_special(999));
}

TEST_CASE("added tokens: longest first, white space and word borders") {
  Json patch;
  patch["added_tokens"] = Json::parse(R"([
    {"id": 300, "content": "<a>", "special": true}, {"id": 301, "content": "<a>b", "special": true},
    {"id": 302, "content": "<w>", "special": true, "lstrip": true, "rstrip": true},
    {"id": 303, "content": "ho", "special": true, "single_word": true},
    {"id": 304, "content": "o h", "special": true, "normalized": true}])");
  const auto tokenizer = small(patch);
  const auto ids = [&](std::string_view text) { return tokenizer->encode(text, SpecialTokens::kRecognise, false); };
  CHECK(ids("<a>b<a>o") == Ids{301, 300, 259, 263});
  CHECK(ids("o \n<w>  o") == Ids{259, 263, 302, 259, 263});
  CHECK(ids("ho") == Ids{303});
  CHECK(ids("hoo") == Ids{259, 260, 263, 263});
  // A normalised token is searched for as the normalizer writes it, "▁o▁h".
  CHECK(ids("o h") == Ids{304});
}

TEST_CASE("decoding leaves out special tokens on request and ignores ids without a token") {
  const auto tokenizer = small();
  const Ids ids = {1, 267, 263, 280, 5000, -7, 2};
  CHECK(tokenizer->decode(ids, true) == "hello");
  CHECK(tokenizer->decode(ids, false) == "<s> hello</s>");
  CHECK(small({{"decoder", nullptr}})->decode(Ids{267, 263}, true) == "▁hell o");
}

TEST_CASE("token_bytes are the bytes of a token within a text") {
  const auto tokenizer = small();
  CHECK(tokenizer->token_bytes(267) == " hell");
  CHECK(tokenizer->token_bytes(259) == " ");
  CHECK(tokenizer->token_bytes(263) == "o");
  CHECK(tokenizer->token_bytes(3 + 0xE2) == "\xE2");
  CHECK(tokenizer->token_bytes(300) == "<tag>");
  CHECK(tokenizer->token_bytes(2).empty());
  CHECK(tokenizer->token_bytes(280).empty());
  CHECK(tokenizer->token_bytes(-1).empty());
}

TEST_CASE("the merge loop agrees with trying every pair again after each merge") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    MergeTable table;
    std::vector<std::array<std::int32_t, 3>> merges;  // left, right, merged; the index is the rank
    for (std::int32_t rank = 0; rank < 12; ++rank) {
      const auto symbol = [&] { return static_cast<std::int32_t>(random() % static_cast<unsigned>(3 + rank)); };
      merges.push_back({symbol(), symbol(), 3 + rank});
      table.add(merges.back()[0], merges.back()[1], rank, 3 + rank);
    }
    Ids expected(random() % 40);
    for (auto& symbol : expected) symbol = static_cast<std::int32_t>(random() % 3);
    Ids found = expected;
    table.apply(found);
    for (std::size_t rank = 0; rank < merges.size();) {
      std::size_t at = 0;
      while (at + 1 < expected.size() && (expected[at] != merges[rank][0] || expected[at + 1] != merges[rank][1])) ++at;
      if (at + 1 >= expected.size()) {
        ++rank;
        continue;
      }
      expected[at] = merges[rank][2];
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(at) + 1);
      rank = 0;
    }
    CHECK(found == expected);
  }
}

TEST_CASE("a normalizer that makes text explode is cut off") {
  const Json twice = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(100, 'a')}};
  const auto tokenizer = small({{"normalizer", {{"type", "Sequence"}, {"normalizers", {twice, twice, twice, twice, twice}}}}});
  CHECK(plain(*tokenizer, "aaaa").size() == 32 * 4 + 65536);
}

TEST_CASE("wrong tokenizer files are refused by the name of the field") {
  const auto error_of = [](const Json& patch) {
    Json file = Json::parse(small_tokenizer_json());
    file.merge_patch(patch);
    const auto loaded = load_tokenizer_json(file.dump());
    REQUIRE(!loaded.ok());
    return loaded.error();
  };
  const auto check = [&](ErrorCode code, const char* words, const Json& patch) {
    const colonnade::Error error = error_of(patch);
    CHECK(error.code == code);
    CHECK_THAT(error.message, Catch::Contains(words));
    CHECK(error.message.find('\n') == std::string::npos);
  };
  check(ErrorCode::kUnsupported, "model Other", {{"model", {{"type", "Other"}}}});
  check(ErrorCode::kUnsupported, "normalizer Other", {{"normalizer", {{"type", "Other"}}}});
  check(ErrorCode::kUnsupported, "pre_tokenizer Other", {{"pre_tokenizer", {{"type", "Other"}}}});
  check(ErrorCode::kUnsupported, "post_processor Other", {{"post_processor", {{"type", "Other"}}}});
  check(ErrorCode::kUnsupported, "decoder Other", {{"decoder", {{"type", "Other"}}}});
  const std::string longer(2000, 'a');
  check(ErrorCode::kUnsupported, "added token 300: a token may have 1024 bytes, found 2000",
        {{"added_tokens", {{{"id", 300}, {"content", longer}, {"special", true}}}}});
  check(ErrorCode::kUnsupported, "a token may have 1024 bytes, found 2000",
        {{"model", {{"type", "WordPiece"}, {"vocab", {{longer, 5}}}}}});
  check(ErrorCode::kUnsupported, "content of 2000 bytes",
        {{"normalizer", {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", longer}}}});
  check(ErrorCode::kCorrupt, "model must be an object", {{"model", nullptr}});
  check(ErrorCode::kCorrupt, "model.vocab[\"h\"]", {{"model", {{"vocab", {{"h", -4}}}}}});
  check(ErrorCode::kCorrupt, "largest token id", {{"model", {{"vocab", {{"h", 2000000000}}}}}});
  check(ErrorCode::kCorrupt, "found 2147483647", {{"model", {{"vocab", {{"h", 2147483647}}}}}});
  check(ErrorCode::kCorrupt, "model.merges[0]", {{"model", {{"merges", {"a b c"}}}}});
  check(ErrorCode::kCorrupt, "lacks \"ho\"", {{"model", {{"merges", {"h o"}}}}});
  check(ErrorCode::kCorrupt, "model.unk_token", {{"model", {{"unk_token", "<none>"}}}});
  check(ErrorCode::kCorrupt, "added_tokens[0].id", {{"added_tokens", {{{"content", "x"}}}}});
  CHECK(!load_tokenizer_json("{\"model\": ").ok());
  CHECK(!load_tokenizer_json("[]").ok());
  CHECK(!load_tokenizer_json("").ok());
}
