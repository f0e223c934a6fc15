#include "engine/base/json.h"

#include <catch2/catch.hpp>

using namespace colonnade;

TEST_CASE("malformed JSON is an error with a position") {
  const auto result = parse_json("{\"a\": [1, 2}", "request body");
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().message == "request body: malformed JSON at byte 12 of 12");
}

TEST_CASE("deep nesting is refused before it can exhaust the stack") {
  const std::string deep(1'000'000, '[');
  const auto result = parse_json(deep, "request body");
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().message.find("deeper than the limit of 64") != std::string::npos);
  CHECK(parse_json("\"" + std::string(100, '[') + "\"", "text").ok());
}

TEST_CASE("invalid UTF-8 in a string can be written") {
  CHECK(dump_json(Json(std::string("a\xff"))) == "\"a\xEF\xBF\xBD\"");
}
