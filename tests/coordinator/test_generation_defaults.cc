#include <catch2/catch.hpp>

#include "coordinator/api_backend.h"

using colonnade::coordinator::read_generation_defaults;
using Ids = std::vector<std::int32_t>;

TEST_CASE("defaults of a model's files") {
  const auto demo = read_generation_defaults(R"({"eos_token_id": 2, "do_sample": true, "temperature": 0.8, "top_p": 0.95, "top_k": 40})",
                                             R"({"eos_token_id": 7})").value();
  CHECK(demo.end_tokens == Ids{2});
  CHECK(demo.temperature == 0.8f);
  CHECK(demo.top_p == 0.95f);
  CHECK(demo.top_k == 40);
  const auto list = read_generation_defaults(R"({"eos_token_id": [128001, 128009], "do_sample": false, "temperature": 0.6})", "").value();
  CHECK(list.end_tokens == Ids{128001, 128009});
  CHECK(list.temperature == 0.0f);
  CHECK(read_generation_defaults("{}", R"({"eos_token_id": 7})").value().end_tokens == Ids{7});
  CHECK(read_generation_defaults("", R"({"text_config": {"eos_token_id": [8, 9]}})").value().end_tokens == Ids{8, 9});
  const auto none = read_generation_defaults("", "").value();
  CHECK(none.end_tokens.empty());
  CHECK(none.temperature == 1.0f);
}

TEST_CASE("wrong defaults are named") {
  CHECK_THAT(read_generation_defaults(R"({"top_p": "x"})", "").error().message,
             Catch::Contains("generation_config.json: top_p must be a number, found \"x\""));
  CHECK_THAT(read_generation_defaults("", R"({"eos_token_id": "</s>"})").error().message, Catch::Contains("config.json: eos_token_id"));
  CHECK(!read_generation_defaults("{", "").ok());
  CHECK(!read_generation_defaults("[]", "").ok());
}
