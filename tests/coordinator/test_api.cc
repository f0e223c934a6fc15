// The API over a real loopback socket, in front of a fake generator.
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "coordinator/http_server.h"
#include "engine/base/json.h"
#include "tests/coordinator/demo_backend.h"
#include "tests/coordinator/raw_client.h"

using namespace colonnade::coordinator;
using namespace colonnade::tests;
using colonnade::Json;
using Ids = std::vector<std::int32_t>;

namespace {

struct Served {
  explicit Served(FakeGenerator::Script script, ApiOptions options = {})
      : demo(std::move(script)),
        server([] {
          HttpServerOptions http;
          http.port = 0;
          return http;
        }(), make_api(demo.backend, std::move(options))),
        port(server.start().value()) {}
  ~Served() { server.stop(0); }

  RawResponse post(const std::string& path, const Json& body) { return RawClient(port).post(path, body.dump()); }
  Json json(const std::string& path, const Json& body, int status = 200) {
    const RawResponse response = post(path, body);
    INFO(response.body);
    CHECK(response.status == status);
    return Json::parse(response.body);
  }
  /// The chunks of a stream, checked to end with [DONE].
  std::vector<Json> stream(const std::string& path, Json body) {
    body["stream"] = true;
    RawResponse response = post(path, body);
    CHECK(response.status == 200);
    CHECK_THAT(response.headers["content-type"], Catch::StartsWith("text/event-stream"));
    std::vector<std::string> events = sse_events(response.body);
    REQUIRE(!events.empty());
    CHECK(events.back() == "[DONE]");
    events.pop_back();
    std::vector<Json> chunks;
    for (const std::string& event : events) chunks.push_back(Json::parse(event));
    return chunks;
  }
  template <typename Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return condition();
  }

  DemoBackend demo;
  HttpServer server;
  std::uint16_t port;
};

Json user(const std::string& content) { return Json::array({{{"role", "user"}, {"content", content}}}); }

/// Bytes of "😀" through byte fallback in the demo vocabulary.
Ids smile() {
  const auto tokenizer = demo_tokenizer();
  Ids ids;
  for (const char* name : {"<0xF0>", "<0x9F>", "<0x98>", "<0x80>"}) ids.push_back(tokenizer->token_id(name));
  return ids;
}

Ids demo_ids(const std::string& text) {
  return demo_tokenizer()->encode(text, colonnade::engine::SpecialTokens::kPlain, false);
}

}  // namespace

TEST_CASE("a completion: text, finish reason and usage") {
  const Ids words = demo_ids("there was a king");
  Served served(always(words));
  const Json answer = served.json("/v1/completions", {{"model", "any"}, {"prompt", "Once"}, {"max_tokens", words.size()}, {"seed", 5}});
  CHECK(answer["object"] == "text_completion");
  CHECK(answer["model"] == "tales");
  CHECK(answer["id"].get<std::string>().starts_with("cmpl-"));
  CHECK(answer["choices"].size() == 1);
  CHECK(answer["choices"][0] == Json{{"index", 0}, {"text", " there was a king"}, {"finish_reason", "length"}, {"logprobs", nullptr}});
  const std::size_t n_prompt = 1 + demo_ids("Once").size();
  CHECK(answer["usage"] == Json{{"prompt_tokens", n_prompt}, {"completion_tokens", words.size()}, {"total_tokens", n_prompt + words.size()}});
  const GenerationRequest request = served.demo.generator.requests().at(0);
  CHECK(request.seed == 5);
  CHECK(request.max_tokens == static_cast<int>(words.size()));
}

TEST_CASE("an end token ends the text with reason stop and is no text") {
  Ids words = demo_ids("the end");
  words.push_back(2);
  Served served(always(words));
  const Json answer = served.json("/v1/chat/completions", {{"messages", user("Tell")}, {"logprobs", true}});
  const Json& choice = answer["choices"][0];
  CHECK(answer["object"] == "chat.completion");
  CHECK(choice["message"] == Json{{"role", "assistant"}, {"content", " the end"}, {"refusal", nullptr}});
  CHECK(choice["finish_reason"] == "stop");
  CHECK(choice["logprobs"]["content"].size() == words.size() - 1);
  CHECK(answer["usage"]["completion_tokens"] == words.size());
  CHECK(served.demo.generator.requests().at(0).max_tokens == 100 - static_cast<int>(1 + demo_ids("Tell").size()));
}

TEST_CASE("a stream has the role, whole characters, the reason, usage and [DONE]") {
  Ids words = demo_ids("a");
  for (const std::int32_t id : smile()) words.push_back(id);
  words.push_back(2);
  Served served(always(words));
  const Json body = {{"messages", user("x")}, {"stream_options", {{"include_usage", true}}}};
  const std::vector<Json> chunks = served.stream("/v1/chat/completions", body);
  CHECK(chunks.front()["choices"][0]["delta"] == Json{{"role", "assistant"}, {"content", ""}});
  std::string text;
  for (const Json& chunk : chunks) {
    CHECK(chunk["object"] == "chat.completion.chunk");
    CHECK(chunk["id"] == chunks.front()["id"]);
    if (chunk["choices"].empty()) continue;
    CHECK(chunk.contains("usage"));
    CHECK(chunk["usage"].is_null());
    text += chunk["choices"][0]["delta"].value("content", "");
  }
  CHECK(text == " a😀");
  CHECK(chunks[chunks.size() - 2]["choices"][0]["finish_reason"] == "stop");
  CHECK(chunks.back()["choices"].empty());
  CHECK(chunks.back()["usage"]["completion_tokens"] == words.size());
  for (const Json& chunk : served.stream("/v1/chat/completions", {{"messages", user("x")}})) {
    CHECK_FALSE(chunk.contains("usage"));
    CHECK(chunk["choices"].size() == 1);
  }
}

TEST_CASE("stop strings cut across tokens, cancel the generation, and never show in the stream") {
  const Ids words = demo_ids("there was a king who had a son");
  Served served(always(words));
  served.demo.generator.pause_us = 200;
  const Json body = {{"prompt", "x"}, {"max_tokens", 90}, {"stop", {"zzz", "a kin"}}, {"logprobs", 0}};
  const Json answer = served.json("/v1/completions", body);
  const Json& choice = answer["choices"][0];
  CHECK(choice["text"] == " there was ");
  CHECK(choice["finish_reason"] == "stop");
  std::string spelled;
  for (const Json& token : choice["logprobs"]["tokens"]) spelled += token.get<std::string>();
  // The last token may reach into the stop string, but no token lies wholly behind the cut.
  CHECK_THAT(spelled, Catch::StartsWith(" there was"));
  CHECK(choice["logprobs"]["text_offset"].back().get<std::size_t>() < choice["text"].get<std::string>().size());
  std::string text;
  for (const Json& chunk : served.stream("/v1/completions", body)) {
    text += chunk["choices"][0]["text"];
    CHECK(std::string(" there was ").starts_with(text));
  }
  CHECK(text == " there was ");
  CHECK(Served::soon([&] { return served.demo.generator.running() == 0; }));
  for (int i = 0; i < 2000 && served.demo.generator.cancelled() < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(served.demo.generator.cancelled() == 2);
}

TEST_CASE("logprobs in the chat shape") {
  Ids words = demo_ids("king");
  words.push_back(smile()[0]);
  words.push_back(2);
  Served served(always(words));
  const Json content =
      served.json("/v1/chat/completions", {{"messages", user("x")}, {"logprobs", true}, {"top_logprobs", 2}})["choices"][0]["logprobs"]["content"];
  REQUIRE(content.size() == words.size() - 1);
  const Json& first = content[0];
  CHECK(first["token"] == " king");
  CHECK(first["bytes"] == Json{32, 107, 105, 110, 103});
  CHECK(first["logprob"].get<float>() == fake_logprob(words[0]));
  REQUIRE(first["top_logprobs"].size() == 2);
  CHECK(first["top_logprobs"][1]["logprob"].get<float>() == fake_logprob(301));
  CHECK(first["top_logprobs"][1]["token"] == demo_tokenizer()->decode(Ids{4, 301}, true).substr(1));
  CHECK(content.back()["token"] == "bytes:\\xf0");
  CHECK(content.back()["bytes"] == Json{0xF0});
}

TEST_CASE("echo with logprobs reports the prompt, the first token without a value") {
  const Ids words = demo_ids("son");
  Served served(always(words));
  Ids prompt = {1};
  for (const std::int32_t id : demo_ids("Once upon")) prompt.push_back(id);
  const Json body = {{"prompt", prompt}, {"max_tokens", 1}, {"echo", true}, {"logprobs", 2}};
  const Json choice = served.json("/v1/completions", body)["choices"][0];
  CHECK(choice["text"] == "Once upon son");
  const Json& logprobs = choice["logprobs"];
  CHECK(logprobs["tokens"] == Json{"<s>", " Once", " upon", " son"});
  CHECK(logprobs["token_logprobs"][0].is_null());
  CHECK(logprobs["token_logprobs"][2].get<float>() == fake_logprob(prompt[2]));
  CHECK(logprobs["top_logprobs"][0].is_null());
  CHECK(logprobs["top_logprobs"][1].size() == 3);  // two alternatives and the token itself
  CHECK(logprobs["text_offset"] == Json{0, 0, 4, 9});
  std::string text;
  Json tokens = Json::array();
  for (const Json& chunk : served.stream("/v1/completions", body)) {
    text += chunk["choices"][0]["text"];
    if (!chunk["choices"][0]["logprobs"].is_null()) tokens.insert(tokens.end(), chunk["choices"][0]["logprobs"]["tokens"].begin(), chunk["choices"][0]["logprobs"]["tokens"].end());
  }
  CHECK(text == "Once upon son");
  CHECK(tokens == logprobs["tokens"]);
  const Json only = served.json("/v1/completions", {{"prompt", prompt}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 0}});
  CHECK(only["choices"][0]["text"] == "Once upon");
  CHECK(only["choices"][0]["finish_reason"] == "length");
  CHECK(only["choices"][0]["logprobs"]["tokens"].size() == 3);
  CHECK(only["choices"][0]["logprobs"]["top_logprobs"].is_null());
  CHECK(served.json("/v1/completions", {{"prompt", prompt}, {"max_tokens", 1}, {"echo", true}})["choices"][0]["text"] == "Once upon son");
}

TEST_CASE("a streamed echo without logprobs is one event") {
  Served served(always(demo_ids("son")));
  const std::string prompt = "Once upon a time there was a king";
  const Json body = {{"prompt", prompt}, {"max_tokens", 1}, {"echo", true}};
  const std::vector<Json> chunks = served.stream("/v1/completions", body);
  REQUIRE(chunks.size() == 3);  // the prompt, the token, the reason
  CHECK(chunks[0]["choices"][0]["text"] == prompt);
  CHECK(chunks[1]["choices"][0]["text"] == " son");
  CHECK(served.json("/v1/completions", body)["choices"][0]["text"] == prompt + " son");
}

TEST_CASE("logprobs that are gathered for an answer are bounded, those of a stream are not") {
  Served served(always(demo_ids("a")));
  // Prompts of 2 tokens leave room for 98: 128 × 97 × 21 values are 260736, 128 × 98 × 21 are 263424.
  Json body = {{"prompt", Ids{1, 5}}, {"n", 128}, {"max_tokens", 97}, {"logprobs", 20}};
  CHECK(served.json("/v1/completions", body)["usage"]["completion_tokens"] == 128 * 97);
  body["max_tokens"] = 98;
  const Json error = served.json("/v1/completions", body, 400)["error"];
  CHECK(error["param"] == "logprobs");
  CHECK_THAT(error["message"].get<std::string>(), Catch::Contains("at most 262144") && Catch::Contains("\"stream\": true"));
  CHECK(Served::soon([&] { return served.demo.generator.running() == 0; }));
  CHECK(served.stream("/v1/completions", body).size() == 128 * (98 + 1));
}

TEST_CASE("several prompts and choices are numbered prompt by prompt, with different seeds") {
  Served served([](const GenerationRequest& request) { return Ids{request.prompt.back(), 2}; });
  const Ids words = demo_ids("king son");
  const Json body = {{"prompt", {{1, words[0]}, {1, words[1]}}}, {"n", 2}, {"max_tokens", 5}, {"seed", 11}};
  const Json answer = served.json("/v1/completions", body);
  REQUIRE(answer["choices"].size() == 4);
  for (int i = 0; i < 4; ++i) {
    CHECK(answer["choices"][static_cast<std::size_t>(i)]["index"] == i);
    CHECK(answer["choices"][static_cast<std::size_t>(i)]["text"] == (i < 2 ? " king" : " son"));
  }
  CHECK(answer["usage"] == Json{{"prompt_tokens", 4}, {"completion_tokens", 8}, {"total_tokens", 12}});
  const auto requests = served.demo.generator.requests();
  CHECK(requests[0].seed == 11);
  CHECK(requests[1].seed != 11);
  CHECK(requests[2].seed == 11);
  std::map<int, std::string> texts;
  std::map<int, int> reasons;
  for (const Json& chunk : served.stream("/v1/completions", body)) {
    const Json& choice = chunk["choices"][0];
    texts[choice["index"]] += choice["text"];
    reasons[choice["index"]] += choice["finish_reason"] == "stop" ? 1 : 0;
  }
  CHECK(texts == std::map<int, std::string>{{0, " king"}, {1, " king"}, {2, " son"}, {3, " son"}});
  CHECK(reasons == std::map<int, int>{{0, 1}, {1, 1}, {2, 1}, {3, 1}});
}

TEST_CASE("a client that leaves has its generations cancelled, streaming or not") {
  Served served(always(demo_ids("on and on")));
  served.demo.generator.pause_us = 500;
  served.demo.backend.context_tokens = 100;
  std::size_t expected = 0;
  for (const bool stream : {false, true}) {
    served.demo.generator.hold = true;
    RawClient client(served.port);
    const std::string body = Json{{"prompt", "x"}, {"n", 3}, {"max_tokens", 90}, {"stream", stream}}.dump();
    client.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    CHECK(Served::soon([&] { return served.demo.generator.running() == 3; }));
    client.close();
    expected += 3;
    CHECK(Served::soon([&] { return served.demo.generator.cancelled() == expected && served.demo.generator.running() == 0; }));
  }
}

TEST_CASE("errors of the generator: before, during, and in a stream") {
  Served served(always(demo_ids("a")));
  served.demo.generator.refuse = true;
  Json error = served.json("/v1/completions", {{"prompt", "x"}}, 429)["error"];
  CHECK(error["type"] == "rate_limit_error");
  CHECK_THAT(error["message"].get<std::string>(), Catch::Contains("queue"));
  served.demo.generator.refuse = false;
  served.demo.generator.fail_after = 2;
  error = served.json("/v1/completions", {{"prompt", "x"}}, 503)["error"];
  CHECK(error["message"] == "the worker job ended");
  const RawResponse stream = served.post("/v1/completions", {{"prompt", "x"}, {"stream", true}});
  CHECK(stream.complete);
  const auto events = sse_events(stream.body);
  CHECK(Json::parse(events.back())["error"]["message"] == "the worker job ended");
}

TEST_CASE("routes, methods and bodies that are wrong") {
  Served served(always({2}));
  RawClient client(served.port);
  RawResponse response = client.get("/v1/nothing");
  CHECK(response.status == 404);
  CHECK_THAT(Json::parse(response.body)["error"]["message"].get<std::string>(), Catch::Contains("/v1/nothing"));
  response = client.get("/v1/completions");
  CHECK(response.status == 405);
  CHECK(response.headers["allow"] == "POST");
  response = client.post("/v1/completions", "{\"prompt\": ");
  CHECK(response.status == 400);
  const Json error = Json::parse(response.body)["error"];
  CHECK(error["type"] == "invalid_request_error");
  CHECK(error["param"].is_null());
  CHECK(error["code"].is_null());
  CHECK(client.post("/v1/completions", std::string(200, '[')).status == 400);
  CHECK(client.post("/v1/completions", "").status == 400);
  response = client.post("/v1/completions", R"({"prompt": "x", "temperature": "hot"})");
  CHECK(Json::parse(response.body)["error"]["param"] == "temperature");
  CHECK(client.get("/v1/models").status == 200);
}

TEST_CASE("the key is asked for everywhere but at /health; CORS only when asked for") {
  Served served(always({2}), {.keys = {"alpha", "beta"}, .cors_origin = "https://example.org"});
  RawClient client(served.port);
  RawResponse response = client.get("/v1/models");
  CHECK(response.status == 401);
  CHECK(Json::parse(response.body)["error"]["code"] == "invalid_api_key");
  for (const char* header : {"Authorization: Bearer alph\r\n", "Authorization: Bearer alphaa\r\n", "Authorization: alpha\r\n",
                             "Authorization: Basic alpha\r\n", "Authorization: Bearer \r\n"}) {
    CHECK(client.get("/v1/models", header).status == 401);
  }
  CHECK(client.post("/v1/completions", "{}").status == 401);
  CHECK(client.get("/metrics").status == 401);
  CHECK(client.get("/v1/models", "Authorization: Bearer alpha\r\n").status == 200);
  CHECK(client.get("/v1/models", "Authorization: Bearer beta\r\n").status == 200);
  response = client.get("/health");
  CHECK(response.status == 200);
  CHECK(response.headers["access-control-allow-origin"] == "https://example.org");
  client.send("OPTIONS /v1/completions HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.receive().status == 204);
  // Before a large body comes: nothing of it is sent here.
  for (const auto& [line, status] : {std::pair("POST /v1/completions", 401), std::pair("POST /nothing", 404), std::pair("POST /health", 405)}) {
    for (const char* length : {"Content-Length: 10000000", "Transfer-Encoding: chunked"}) {
      RawClient large(served.port);
      large.send(std::string(line) + " HTTP/1.1\r\nHost: x\r\n" + length + "\r\n\r\n");
      RawResponse refused = large.receive();
      CHECK(refused.status == status);
      CHECK(refused.headers["connection"] == "close");
      CHECK(refused.headers["access-control-allow-origin"] == "https://example.org");
    }
  }
  Served closed(always({2}));
  RawClient other(closed.port);
  CHECK(other.get("/v1/models").headers.count("access-control-allow-origin") == 0);
}

TEST_CASE("models, health, tokenize, detokenize, metrics") {
  Served served(always({2}));
  RawClient client(served.port);
  const Json models = Json::parse(client.get("/v1/models").body);
  CHECK(models["object"] == "list");
  CHECK(models["data"][0]["id"] == "tales");
  CHECK(models["data"][0]["created"] == 1700000000);
  CHECK(client.get("/v1/models/tales").status == 200);
  CHECK(client.get("/v1/models/other").status == 404);

  JobState& state = served.demo.job_state;
  state.phase = JobPhase::kLoading;
  state.loaded_bytes = 1;
  state.total_bytes = 4;
  state.message = "rank 1 died";
  RawResponse response = client.get("/health");
  CHECK(response.status == 503);
  CHECK(Json::parse(response.body)["percent"] == 25.0);
  CHECK(Json::parse(response.body)["message"] == "rank 1 died");
  state.phase = JobPhase::kReady;
  CHECK(client.get("/health").status == 200);

  const Json tokens = served.json("/tokenize", {{"prompt", "Once</s>"}});
  Ids expected = {1};
  for (const std::int32_t id : demo_ids("Once")) expected.push_back(id);
  expected.push_back(2);
  CHECK(tokens["tokens"] == expected);
  CHECK(tokens["count"] == expected.size());
  CHECK(served.json("/tokenize", {{"text", "Once"}, {"add_special_tokens", false}})["tokens"] == demo_ids("Once"));
  CHECK(served.json("/detokenize", {{"tokens", expected}})["text"] == "Once");
  CHECK(served.json("/detokenize", {{"tokens", expected}, {"skip_special_tokens", false}})["text"] == "<s> Once</s>");
  CHECK(served.json("/detokenize", {{"tokens", {smile()[0]}}})["text"] == "\xEF\xBF\xBD");
  CHECK(served.json("/detokenize", {{"tokens", {4096}}}, 400)["error"]["param"] == "tokens");
  CHECK(served.json("/detokenize", {{"tokens", "x"}}, 400)["error"]["param"] == "tokens");
  CHECK(served.json("/tokenize", Json::object(), 400)["error"]["param"] == "text");
  CHECK(served.json("/tokenize", {{"text", 5}}, 400)["error"]["param"] == "text");

  served.json("/v1/completions", {{"prompt", "x"}});
  const std::string metrics = client.get("/metrics").body;
  for (const char* line : {"# TYPE colonnade_steps_total counter\ncolonnade_steps_total 7\n", "colonnade_kv_pages_used 3\n",
                           "colonnade_kv_pages_total 64\n", "colonnade_generated_tokens_total 1\n",
                           "colonnade_http_requests_total{path=\"/v1/completions\",status=\"200\"} 1\n",
                           "colonnade_http_requests_total{path=\"/detokenize\",status=\"400\"} 2\n",
                           "colonnade_time_to_first_token_seconds_count 1\n",
                           "colonnade_inter_token_seconds_bucket{le=\"+Inf\"} 0\n"}) {
    CHECK_THAT(metrics, Catch::Contains(line));
  }
}

TEST_CASE("many clients at once, some leaving, all others served right") {
  Served served([](const GenerationRequest& request) {
    return Ids(request.prompt.begin() + 1, request.prompt.end());
  });
  served.demo.generator.pause_us = 100;
  std::vector<std::thread> clients;
  std::atomic<int> right{0};
  for (int i = 0; i < 32; ++i) {
    clients.emplace_back([&, i] {
      const std::string text = "the king had " + std::to_string(i) + " sons";
      const std::size_t n = demo_ids(text).size();
      Json body = {{"prompt", text}, {"max_tokens", n}, {"stream", i % 2 == 0}};
      if (i % 4 == 3) {
        RawClient client(served.port);
        body["max_tokens"] = 80;
        const std::string bytes = body.dump();
        client.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(bytes.size()) + "\r\n\r\n" + bytes);
        return;
      }
      const RawResponse response = served.post("/v1/completions", body);
      std::string found;
      if (i % 2 == 0) {
        for (const std::string& event : sse_events(response.body)) {
          if (event != "[DONE]") found += Json::parse(event)["choices"][0]["text"].get<std::string>();
        }
      } else {
        found = Json::parse(response.body)["choices"][0]["text"].get<std::string>();
      }
      right += found == " " + text ? 1 : 0;
    });
  }
  for (std::thread& client : clients) client.join();
  CHECK(right == 24);
  CHECK(Served::soon([&] { return served.demo.generator.running() == 0; }));
}
