// Tools and reasoning over a real loopback socket, in front of a fake generator and a fake template.
#include <catch2/catch.hpp>

#include "coordinator/http_server.h"
#include "engine/base/json.h"
#include "tests/coordinator/chat_backend.h"
#include "tests/coordinator/raw_client.h"

using namespace colonnade::coordinator;
using namespace colonnade::tests;
using colonnade::Json;

namespace {

struct Served {
  Served(colonnade::engine::OutputFormat format, const std::string& output)
      : demo(std::move(format), output),
        server([] {
          HttpServerOptions http;
          http.port = 0;
          return http;
        }(), make_api(demo.backend, {})),
        port(server.start().value()) {}
  ~Served() { server.stop(0); }

  Json ask(Json body, int status = 200) {
    const RawResponse response = RawClient(port).post("/v1/chat/completions", body.dump());
    INFO(response.body);
    REQUIRE(response.status == status);
    return Json::parse(response.body);
  }
  std::vector<Json> stream(Json body) {
    body["stream"] = true;
    std::vector<std::string> events = sse_events(RawClient(port).post("/v1/chat/completions", body.dump()).body);
    REQUIRE(!events.empty());
    CHECK(events.back() == "[DONE]");
    events.pop_back();
    std::vector<Json> chunks;
    for (const std::string& event : events) chunks.push_back(Json::parse(event));
    return chunks;
  }

  ChatBackend demo;
  HttpServer server;
  std::uint16_t port;
};

const std::string kAnswer =
    "<think>\nTwo places.\n</think>\n\nLet me look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Paris\"}}\n"
    "</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

Json request() {
  const auto tool = [](const char* name) { return Json{{"type", "function"}, {"function", {{"name", name}}}}; };
  return {{"messages", {{{"role", "user"}, {"content", "Weather?"}}}}, {"tools", {tool("get_weather"), tool("now")}}, {"max_tokens", 2000}};
}

}  // namespace

TEST_CASE("a message with reasoning, words and calls") {
  Served served({"hermes", "think"}, kAnswer);
  const Json answer = served.ask(request());
  const Json& choice = answer["choices"][0];
  CHECK(choice["finish_reason"] == "tool_calls");
  CHECK(choice["message"]["role"] == "assistant");
  CHECK(choice["message"]["reasoning_content"] == "Two places.");
  CHECK(choice["message"]["content"] == "Let me look.");
  const Json& calls = choice["message"]["tool_calls"];
  REQUIRE(calls.size() == 2);
  CHECK(calls[0]["type"] == "function");
  CHECK(calls[0]["function"] == Json{{"name", "get_weather"}, {"arguments", "{\"location\": \"Paris\"}"}});
  CHECK(calls[1]["function"] == Json{{"name", "now"}, {"arguments", "{}"}});
  CHECK(!calls[0].contains("index"));
  CHECK_THAT(calls[0]["id"].get<std::string>(), Catch::StartsWith("call_"));
  CHECK(calls[0]["id"] != calls[1]["id"]);
  const int reasoning = answer["usage"]["completion_tokens_details"]["reasoning_tokens"];
  CHECK(reasoning > 0);
  CHECK(reasoning < answer["usage"]["completion_tokens"].get<int>());
}

TEST_CASE("the same as a stream") {
  Served served({"hermes", "think"}, kAnswer);
  Json body = request();
  body["stream_options"] = {{"include_usage", true}};
  const std::vector<Json> chunks = served.stream(body);
  std::string reasoning, content;
  Json calls = Json::array();
  std::size_t n_fragments = 0;
  for (const Json& chunk : chunks) {
    if (chunk["choices"].empty()) continue;
    const Json& delta = chunk["choices"][0]["delta"];
    reasoning += delta.value("reasoning_content", "");
    content += delta.value("content", "");
    for (const Json& call : delta.value("tool_calls", Json::array())) {
      const std::size_t index = call["index"];
      REQUIRE(index <= calls.size());
      if (index == calls.size()) {
        CHECK(call["type"] == "function");
        calls.push_back({{"id", call["id"]}, {"name", call["function"]["name"]}, {"arguments", ""}});
      } else {
        CHECK(!call.contains("id"));
        CHECK(!call["function"].contains("name"));
      }
      n_fragments += call["function"]["arguments"] != "";
      calls[index]["arguments"] = calls[index]["arguments"].get<std::string>() + call["function"]["arguments"].get<std::string>();
    }
  }
  CHECK(chunks.front()["choices"][0]["delta"] == Json{{"role", "assistant"}, {"content", ""}});
  CHECK(reasoning == "Two places.");
  CHECK(content == "Let me look.");
  REQUIRE(calls.size() == 2);
  CHECK(calls[0]["arguments"] == "{\"location\": \"Paris\"}");
  CHECK(calls[1]["arguments"] == "{}");
  CHECK(n_fragments > 4);  // as they come, not at the end
  CHECK(chunks[chunks.size() - 2]["choices"][0]["finish_reason"] == "tool_calls");
  CHECK(chunks.back()["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0);
}

TEST_CASE("a call without words has null as content") {
  Served served({"hermes", "think"}, "<tool_call>{\"name\": \"now\"}</tool_call>");
  const Json message = served.ask(request())["choices"][0]["message"];
  CHECK(message["content"].is_null());
  CHECK(!message.contains("reasoning_content"));
  CHECK(message["tool_calls"].size() == 1);
}

TEST_CASE("without tools, or with none of them wanted, calls are content") {
  Served served({"hermes", "think"}, "<think>So.</think><tool_call>{\"name\": \"now\"}</tool_call>");
  Json body = request();
  body["tool_choice"] = "none";
  for (int i = 0; i < 2; ++i) {
    const Json choice = served.ask(body)["choices"][0];
    CHECK(choice["finish_reason"] == "stop");
    CHECK(choice["message"]["content"] == "<tool_call>{\"name\": \"now\"}</tool_call>");
    CHECK(choice["message"]["reasoning_content"] == "So.");
    CHECK(!choice["message"].contains("tool_calls"));
    body.erase("tools");
  }
}

TEST_CASE("no parallel calls: generation ends behind the first") {
  Served served({"hermes", "think"}, kAnswer);
  Json body = request();
  body["parallel_tool_calls"] = false;
  const Json choice = served.ask(body)["choices"][0];
  CHECK(choice["finish_reason"] == "tool_calls");
  CHECK(choice["message"]["tool_calls"].size() == 1);
}

TEST_CASE("cut for its length") {
  Served served({"hermes", "think"}, kAnswer);
  Json body = request();
  body["max_tokens"] = 8;
  const Json choice = served.ask(body)["choices"][0];
  CHECK(choice["finish_reason"] == "length");
  CHECK_THAT("Two places.", Catch::StartsWith(choice["message"]["reasoning_content"].get<std::string>()));
}

TEST_CASE("log-probabilities are those of all tokens of the message") {
  Served served({"hermes", "think"}, "<think>So.</think>Yes");
  Json body = request();
  body["logprobs"] = true;
  const Json choice = served.ask(body)["choices"][0];
  std::string spelled;
  for (const Json& token : choice["logprobs"]["content"]) spelled += token["token"].get<std::string>();
  CHECK_THAT(spelled, Catch::EndsWith("<think>So.</think>Yes"));
  CHECK(choice["message"]["content"] == "Yes");
}

TEST_CASE("several choices have calls of their own; Mistral's ids are nine characters") {
  Served served({"mistral", "none"}, "[TOOL_CALLS]now[ARGS]{}");
  Json body = request();
  body["n"] = 2;
  const Json choices = served.ask(body)["choices"];
  REQUIRE(choices.size() == 2);
  const std::string first = choices[0]["message"]["tool_calls"][0]["id"];
  CHECK(first.size() == 9);
  CHECK(choices[1]["message"]["tool_calls"][0]["id"] != first);
}

TEST_CASE("what the template refuses is the client's mistake") {
  Served served({"hermes", "think"}, "x");
  Json body = request();
  body["messages"][0]["content"] = "refuse";
  const Json error = served.ask(body, 400)["error"];
  CHECK(error["param"] == "messages");
  CHECK_THAT(error["message"].get<std::string>(), Catch::Contains("roles must alternate"));
}
