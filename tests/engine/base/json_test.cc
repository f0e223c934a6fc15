#include "engine/base/json.h"

#include <catch2/catch.hpp>

using namespace colonnade;

TEST_CASE("malformed JSON is an error with a position") {
  const auto result = parse_json("{\"a\": [1, 2}", "request body");
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().message == "request body: malformed JSON at byte 12 of 12");
  const auto cut = parse_json("{\"a\": [1", "request body");
  REQUIRE_FALSE(cut.ok());
  CHECK(cut.error().message == "request body: malformed JSON: ends too early, after 8 bytes");
}

TEST_CASE("deep nesting is refused before it can exhaust the stack") {
  const std::string deep(1'000'000, '[');
  const auto result = parse_json(deep, "request body");
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().message.find("deeper than the limit of 64") != std::string::npos);
  CHECK(parse_json("\"" + std::string(100, '[') + "\"", "text").ok());
}

TEST_CASE("Ordered JSON keeps the order of keys and bounds their number") {
  const auto value = colonnade::parse_ordered_json("{\"b\": {\"z\": 1, \"a\": 2}, \"a\": 1, \"b\": 3}", "request body");
  REQUIRE(value.ok());
  CHECK(value->dump() == "{\"b\":3,\"a\":1}");
  std::string many = "[{";
  for (std::size_t i = 0; i < colonnade::kMaxOrderedKeys; ++i) many += (i > 0 ? ",\"k" : "\"k") + std::to_string(i) + "\":0";
  CHECK(colonnade::parse_ordered_json(many + "}]", "request body").ok());
  const auto more = colonnade::parse_ordered_json(many + ",\"x\":{}}]", "request body");
  REQUIRE(!more.ok());
  CHECK(more.error().message == "request body: expected JSON objects of at most 1024 keys, found a larger one");
}

TEST_CASE("invalid UTF-8 in a string can be written") {
  CHECK(dump_json(Json(std::string("a\xff"))) == "\"a\xEF\xBF\xBD\"");
}
