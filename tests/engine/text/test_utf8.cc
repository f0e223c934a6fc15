#include <catch2/catch.hpp>

#include "engine/text/utf8.h"

using colonnade::engine::read_utf8;
using colonnade::engine::replace_invalid_utf8;
using colonnade::engine::Utf8Assembler;
using colonnade::engine::Utf8Head;

TEST_CASE("whole characters are read at every size") {
  for (const auto& [bytes, size] : {std::pair<std::string, std::size_t>{"a", 1},
                                    {"\xC2\x80", 2},
                                    {"\xE0\xA0\x80", 3},
                                    {"\xED\x9F\xBF", 3},
                                    {"\xF0\x90\x80\x80", 4},
                                    {"\xF4\x8F\xBF\xBF", 4}}) {
    CHECK(read_utf8(bytes + "x").kind == Utf8Head::kCharacter);
    CHECK(read_utf8(bytes + "x").size == size);
    for (std::size_t cut = 1; cut < size; ++cut) {
      CHECK(read_utf8(bytes.substr(0, cut)).kind == Utf8Head::kIncomplete);
    }
  }
}

// The examples of the Unicode standard, section 3.9, tables 3-8 to 3-11.
TEST_CASE("bytes that are not UTF-8 become U+FFFD by maximal subparts") {
  const std::string r = "\xEF\xBF\xBD";
  CHECK(replace_invalid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(replace_invalid_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(replace_invalid_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") == r + r + r + r + r + "A" + r + r + "B");
  CHECK(replace_invalid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == r + r + r + r + "A");
}

TEST_CASE("the assembler holds an incomplete character back") {
  Utf8Assembler assembler;
  CHECK(assembler.push("a\xE2") == "a");
  CHECK(assembler.push("\x82") == "");
  CHECK(assembler.push("\xAC!") == "\xE2\x82\xAC!");
  CHECK(assembler.finish() == "");
  CHECK(assembler.push("\xF0\x9F") == "");
  CHECK(assembler.push("b") == "\xEF\xBF\xBD" "b");
  CHECK(assembler.push("\xF0\x9F\x98") == "");
  CHECK(assembler.finish() == "\xEF\xBF\xBD");
}
