// What bodies mean, and what is wrong with wrong ones.
#include <catch2/catch.hpp>

#include <set>

#include "coordinator/api_request.h"
#include "tests/coordinator/demo_backend.h"

using namespace colonnade::coordinator;
using colonnade::Json;
using colonnade::tests::always;
using colonnade::tests::DemoBackend;
using Ids = std::vector<std::int32_t>;

namespace {

struct Reader {
  DemoBackend demo{always({2})};

  ApiRequest read(const Json& body, bool chat = false) {
    ApiRequest request;
    const auto error = read_api_request(body.dump(), chat, demo.backend, request);
    if (error) FAIL(error->message);
    return request;
  }
  ApiError error(const Json& body, bool chat = false) {
    ApiRequest request;
    const auto found = read_api_request(body.dump(), chat, demo.backend, request);
    INFO(body.dump());
    REQUIRE(found.has_value());
    CHECK(found->status == 400);
    CHECK(found->message.find('\n') == std::string::npos);
    return *found;
  }
};

}  // namespace

TEST_CASE("prompts in their four forms") {
  Reader reader;
  const Ids once = reader.demo.tokenizer->encode("Once", colonnade::engine::SpecialTokens::kRecognise, true);
  REQUIRE(once.front() == 1);
  CHECK(reader.read({{"prompt", "Once"}}).prompts == std::vector<Ids>{once});
  CHECK(reader.read({{"prompt", {"Once", "Once"}}}).prompts == std::vector<Ids>{once, once});
  CHECK(reader.read({{"prompt", {1, 5, 9}}}).prompts == std::vector<Ids>{{1, 5, 9}});
  CHECK(reader.read({{"prompt", {{1, 5}, {9}}}}).prompts == std::vector<Ids>{{1, 5}, {9}});
  CHECK(reader.read({{"prompt", ""}}).prompts == std::vector<Ids>{{1}});
}

TEST_CASE("messages become one text; parts are joined; special tokens in them are plain text") {
  Reader reader;
  const auto text_of = [&](const Json& messages) {
    const ApiRequest request = reader.read({{"messages", messages}}, true);
    REQUIRE(request.prompts.size() == 1);
    CHECK(request.prompts[0].front() == 1);
    return reader.demo.tokenizer->decode(request.prompts[0], true);
  };
  CHECK(text_of({{{"role", "user"}, {"content", "Once"}}}) == "Once");
  CHECK(text_of({{{"role", "developer"}, {"content", "A"}}, {{"role", "assistant"}, {"content", nullptr}},
                 {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "B</s>"}}, {{"type", "text"}, {"text", "C"}}}}}}) ==
        "A\n\nB</s>\nC");
}

TEST_CASE("silent fields take the model's defaults, then OpenAI's") {
  Reader reader;
  const ApiRequest silent = reader.read({{"prompt", "x"}, {"temperature", nullptr}, {"unheard_of", {1, 2}}});
  CHECK(silent.generation.temperature == 0.8f);
  CHECK(silent.generation.top_p == 0.95f);
  CHECK(silent.generation.stop_tokens == Ids{2});
  CHECK(silent.max_tokens == 16);
  CHECK(silent.n == 1);
  CHECK_FALSE(silent.seed.has_value());
  CHECK_FALSE(reader.read({{"messages", {{{"role", "user"}, {"content", "x"}}}}}, true).max_tokens.has_value());
}

TEST_CASE("every sampling field arrives") {
  Reader reader;
  const ApiRequest request = reader.read({{"prompt", "x"}, {"temperature", 0}, {"top_p", 0.5}, {"top_k", 7}, {"min_p", 0.25},
                                          {"seed", -1}, {"presence_penalty", 1.5}, {"frequency_penalty", -1.5},
                                          {"repetition_penalty", 1.25}, {"logit_bias", {{"7", 5}, {"9", -100}}},
                                          {"max_completion_tokens", 3}, {"n", 2}, {"stop", "abc"}, {"logprobs", 4},
                                          {"echo", true}, {"stream", true}, {"stream_options", {{"include_usage", true}}},
                                          {"ignore_eos", true}, {"best_of", 2}, {"suffix", ""}, {"user", "me"}});
  const GenerationRequest& generation = request.generation;
  CHECK(generation.temperature == 0.0f);
  CHECK(generation.top_p == 0.5f);
  CHECK(generation.top_k == 7);
  CHECK(generation.min_p == 0.25f);
  CHECK(request.seed == 0xFFFFFFFFFFFFFFFFull);
  CHECK(generation.presence_penalty == 1.5f);
  CHECK(generation.frequency_penalty == -1.5f);
  CHECK(generation.repetition_penalty == 1.25f);
  CHECK(generation.logit_bias == std::vector<std::pair<std::int32_t, float>>{{7, 5.0f}, {9, -100.0f}});
  CHECK(generation.n_top == 4);
  CHECK(generation.prompt_output == PromptOutput::kLogprobs);
  CHECK(generation.stop_tokens.empty());
  CHECK(request.max_tokens == 3);
  CHECK(request.n == 2);
  CHECK(request.stop == std::vector<std::string>{"abc"});
  CHECK((request.logprobs && request.echo && request.stream && request.include_usage));
}

TEST_CASE("wrong fields are named, with what was expected and found") {
  Reader reader;
  const auto check = [&](const Json& body, const char* param, const char* words, bool chat = false) {
    const ApiError error = reader.error(body, chat);
    CHECK(error.param == param);
    CHECK_THAT(error.message, Catch::Contains(words));
  };
  const auto with = [](const char* field, const Json& value) { return Json{{"prompt", "x"}, {field, value}}; };
  check(with("temperature", "hot"), "temperature", "a number from 0 to 2, found \"hot\"");
  check(with("temperature", 2.5), "temperature", "found 2.5");
  check(with("top_p", -0.1), "top_p", "from 0 to 1");
  check(with("top_k", 1.5), "top_k", "an integer");
  check(with("max_tokens", "3"), "max_tokens", "an integer");
  check(with("max_tokens", -1), "max_tokens", "found -1");
  check(with("max_tokens", 18446744073709551615u), "max_tokens", "found 18446744073709551615");
  check(with("n", 0), "n", "from 1 to 128");
  check(with("n", true), "n", "found true");
  check(with("stream", "yes"), "stream", "true or false");
  check(with("stream_options", {{"include_usage", true}}), "stream_options", "\"stream\": true");
  check(with("seed", 0.5), "seed", "an integer");
  check(with("stop", 5), "stop", "up to 4 strings");
  check(with("stop", {"a", "b", "c", "d", "e"}), "stop", "up to 4 strings");
  check(with("stop", ""), "stop", "none of them empty");
  check(with("logit_bias", {{"4096", 1}}), "logit_bias", "0 to 4095");
  check(with("logit_bias", {{"x", 1}}), "logit_bias", "\"x\"");
  check(with("logit_bias", {{"1", 101}}), "logit_bias", "-100 to 100");
  Json biases = Json::object();
  for (int token = 0; token < 1024; ++token) biases[std::to_string(token)] = 1;
  CHECK(reader.read(with("logit_bias", biases)).generation.logit_bias.size() == 1024);
  biases["1024"] = 1;
  check(with("logit_bias", biases), "logit_bias", "at most 1024 entries, found 1025");
  check(with("logprobs", 21), "logprobs", "from 0 to 20");
  check(with("logprobs", true), "logprobs", "an integer");
  check(with("model", 5), "model", "a string");
  check(with("echo", 1), "echo", "true or false");
  check(with("best_of", 2), "best_of", "equal to n");
  check(with("suffix", "end"), "suffix", "not supported");
  check({{"prompt", {1, 4096}}}, "prompt", "0 to 4095");
  check({{"prompt", {1, -1}}}, "prompt", "found -1");
  check({{"prompt", {1, "a"}}}, "prompt", "found \"a\"");
  check({{"prompt", 5}}, "prompt", "found 5");
  check({{"prompt", Json::array()}}, "prompt", "a list of strings");
  check({{"prompt", {Json::array()}}}, "prompt", "at least one token");
  check(Json::object(), "prompt", "missing");
  check({{"messages", "hi"}}, "messages", "at least one message", true);
  check({{"messages", Json::array()}}, "messages", "at least one message", true);
  const auto said = [](const Json& message) { return Json{{"messages", {message}}}; };
  check(said({{"role", "king"}, {"content", "x"}}), "messages", "found \"king\"", true);
  check(said({{"role", "user"}, {"content", 5}}), "messages", "found 5", true);
  check(said({{"role", "user"}, {"content", {{{"type", "image_url"}}}}}), "messages", "image_url", true);
  Json chat = said({{"role", "user"}, {"content", "x"}});
  chat["top_logprobs"] = 3;
  check(chat, "top_logprobs", "\"logprobs\": true", true);
  CHECK(reader.error(Json::array()).message == "the request body must be an object, found array");
}

TEST_CASE("what would change the answer and is not there is refused, empty values are not") {
  Reader reader;
  const Json base = {{"messages", {{{"role", "user"}, {"content", "x"}}}}};
  for (const Json& patch : {Json{{"functions", {{{"name", "f"}}}}}, Json{{"guided_json", {{"a", 1}}}},
                            Json{{"response_format", {{"type", "xml"}}}}, Json{{"use_beam_search", true}}, Json{{"grammar", 5}},
                            Json{{"response_format", {{"type", "json_schema"}}}}, Json{{"guided_json", {{"a", 1}}}},
                            Json{{"modalities", {"text", "audio"}}}}) {
    Json body = base;
    body.update(patch);
    const ApiError error = reader.error(body, true);
    CHECK(error.param == patch.begin().key());
  }
  Json body = base;
  body.update({{"tools", Json::array()}, {"tool_choice", "auto"}, {"response_format", {{"type", "text"}}}, {"modalities", {"text"}}});
  CHECK(reader.read(body, true).prompts.size() == 1);
}

TEST_CASE("constraints are compiled for the vocabulary, or refused with what is wrong") {
  Reader reader;
  const Json base = {{"prompt", "Once"}};
  const auto with = [&](const Json& patch) {
    Json body = base;
    body.update(patch);
    return body;
  };
  const auto format = [&](const Json& schema) {
    return with({{"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", schema}}}}}});
  };
  const auto first_tokens = [&](const Json& body) {
    const ApiRequest request = reader.read(body);
    REQUIRE(request.generation.constraint);
    const int vocab = reader.demo.tokenizer->vocab_size();
    std::vector<std::uint32_t> mask((static_cast<std::size_t>(vocab) + 31) / 32);
    request.generation.constraint->start()->mask(mask);
    std::set<std::string> texts;
    for (std::int32_t token = 0; token < vocab; ++token)
      if ((mask[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1) != 0) texts.insert(reader.demo.tokenizer->token_bytes(token));
    return texts;
  };
  const auto beginnings = [](const std::string& text) {
    std::set<std::string> all;
    for (std::size_t n = 1; n <= text.size(); ++n) all.insert(text.substr(0, n));
    return all;
  };
  for (const std::string& token : first_tokens(with({{"grammar", "root ::= \"the cat\""}}))) CHECK(beginnings("the cat").count(token) == 1);
  CHECK(first_tokens(with({{"grammar", "root ::= \"the cat\""}})).count("t") == 1);
  CHECK(first_tokens(with({{"response_format", {{"type", "json_object"}}}})).count("{") == 1);
  for (const std::string& token : first_tokens(format({{"type", "boolean"}})))
    CHECK((beginnings("true").count(token) == 1 || beginnings("false").count(token) == 1));
  CHECK_FALSE(reader.read(with({{"response_format", {{"type", "text"}}}})).generation.constraint);
  CHECK_FALSE(reader.read(with({{"grammar", ""}})).generation.constraint);

  // The order of properties is that of the body, not of their names.
  ApiRequest ordered;
  const std::string body = R"({"prompt": "x", "response_format": {"type": "json_schema", "json_schema": {"schema":
    {"type": "object", "properties": {"zebra": {"const": 1}, "ape": {"const": 2}}, "required": ["ape", "zebra"]}}}})";
  REQUIRE_FALSE(read_api_request(body, false, reader.demo.backend, ordered).has_value());
  const auto constraint = ordered.generation.constraint->start();
  for (const char c : std::string("{\"zebra\":1,\"ape\":2}")) {
    CHECK_FALSE(constraint->may_end());
    std::int32_t token = 0;
    while (token < reader.demo.tokenizer->vocab_size() && reader.demo.tokenizer->token_bytes(token) != std::string(1, c)) ++token;
    CHECK(constraint->accept(token));
  }
  CHECK(constraint->may_end());

  CHECK(reader.error(format({{"allOf", {{{"type", "object"}}, {{"if", true}}}}})).message == "JSON schema at #: \"if\" is not supported");
  CHECK(reader.error(format(5)).message == "JSON schema at #: expected an object, true or false, found number");
  CHECK_THAT(reader.error(with({{"grammar", "root ::= x"}})).message, Catch::Contains("rule \"x\" is used in line 1 but not defined"));
  CHECK(reader.error(with({{"grammar", "root ::= x"}})).param == "grammar");
  CHECK_THAT(reader.error(with({{"grammar", "root ::= \"x\""}, {"response_format", {{"type", "json_object"}}}})).message, Catch::Contains("found both"));
  reader.demo.backend.constraints = nullptr;
  CHECK(reader.error(with({{"grammar", "root ::= \"x\""}})).code == "unsupported_parameter");
}

TEST_CASE("a prompt must leave room in the context") {
  Reader reader;
  reader.demo.backend.context_tokens = 10;
  CHECK(reader.read({{"prompt", Ids(9, 5)}}).prompts[0].size() == 9);
  const ApiError error = reader.error({{"prompt", Ids(10, 5)}});
  CHECK(error.code == "context_length_exceeded");
  CHECK_THAT(error.message, Catch::Contains("at most 9 tokens") && Catch::Contains("found 10"));
  CHECK(reader.read({{"prompt", Ids(10, 5)}, {"max_tokens", 0}}).prompts[0].size() == 10);
  CHECK(reader.error({{"prompt", Ids(11, 5)}, {"max_tokens", 0}}).code == "context_length_exceeded");
  CHECK(reader.error({{"prompt", {"a", "b", "c"}}, {"n", 100}}).param == "n");
}
