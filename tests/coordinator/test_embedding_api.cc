// /v1/embeddings over a real loopback socket, in front of a fake generator.
#include <catch2/catch.hpp>

#include <cstring>

#include "coordinator/http_server.h"
#include "engine/base/json.h"
#include "engine/text/tokenizer/base64.h"
#include "tests/coordinator/demo_backend.h"
#include "tests/coordinator/raw_client.h"

using namespace colonnade::coordinator;
using namespace colonnade::tests;
using Catch::Matchers::Contains;
using colonnade::Json;

namespace {

struct ServedEncoder {
  explicit ServedEncoder(int vector_dim = 3)
      : demo(always({1})),
        server([] {
          HttpServerOptions http;
          http.port = 0;
          return http;
        }(), make_api([&] {
          demo.backend.vector_dim = vector_dim;
          demo.backend.context_tokens = 12;
          return demo.backend;
        }(), {})),
        port(server.start().value()) {}
  ~ServedEncoder() { server.stop(0); }

  Json post(const std::string& path, const Json& body, int status = 200) {
    const RawResponse response = RawClient(port).post(path, body.dump());
    INFO(response.body);
    CHECK(response.status == status);
    return Json::parse(response.body);
  }
  std::string refusal(const Json& body) {
    const Json answer = post("/v1/embeddings", body, 400);
    return answer["error"]["message"].get<std::string>();
  }

  DemoBackend demo;
  HttpServer server;
  std::uint16_t port;
};

}  // namespace

TEST_CASE("embeddings of a text, of texts, of tokens and of lists of tokens") {
  ServedEncoder served;
  const auto ids = served.demo.tokenizer->encode("Once upon", colonnade::engine::SpecialTokens::kRecognise, true);
  const Json one = served.post("/v1/embeddings", {{"model", "any"}, {"input", "Once upon"}});
  CHECK(one["object"] == "list");
  CHECK(one["model"] == served.demo.backend.model);
  REQUIRE(one["data"].size() == 1);
  CHECK(one["data"][0]["object"] == "embedding");
  CHECK(one["data"][0]["index"] == 0);
  CHECK(one["data"][0]["embedding"].get<std::vector<float>>() == fake_vector(ids));
  CHECK(one["usage"] == Json{{"prompt_tokens", ids.size()}, {"total_tokens", ids.size()}});

  const Json texts = served.post("/v1/embeddings", {{"input", {"Once upon", "a"}}});
  REQUIRE(texts["data"].size() == 2);
  CHECK(texts["data"][0] == one["data"][0]);
  CHECK(texts["data"][1]["index"] == 1);

  const Json tokens = served.post("/v1/embeddings", {{"input", {5, 6, 7}}});
  CHECK(tokens["data"][0]["embedding"] == Json{3, 5, 7});
  const Json lists = served.post("/v1/embeddings", {{"input", {{5, 6, 7}, {9}}}, {"dimensions", 3}});
  CHECK(lists["data"][1]["embedding"] == Json{1, 9, 9});
  CHECK(lists["usage"]["total_tokens"] == 4);
  for (const GenerationRequest& request : served.demo.generator.requests()) {
    CHECK(request.max_tokens == 0);
    CHECK(request.prompt_output == PromptOutput::kVector);
  }
}

TEST_CASE("types of tokens go with their inputs") {
  ServedEncoder served;
  served.post("/v1/embeddings", {{"input", {5, 6, 7}}, {"token_type_ids", {0, 1, 1}}});
  served.post("/v1/embeddings", {{"input", {{5, 6}, {7}}}, {"token_type_ids", {{0, 1}, {1}}}});
  const auto requests = served.demo.generator.requests();
  REQUIRE(requests.size() == 3);
  using Types = std::vector<std::int32_t>;
  CHECK(requests[0].token_types == Types{0, 1, 1});
  CHECK(requests[1].token_types == Types{0, 1});
  CHECK(requests[2].token_types == Types{1});
  const auto refused = [&](const Json& input, const Json& types) { return served.refusal({{"input", input}, {"token_type_ids", types}}); };
  CHECK_THAT(refused({5, 6}, {0}), Contains("token_type_ids must have one for each of 2 tokens, found 1"));
  CHECK_THAT(refused({{5}, {6}}, {0, 0}), Contains("a list of types for each of 2 inputs"));
  CHECK_THAT(refused({5, 6}, {0, -1}), Contains("token_type_ids must be made of numbers from 0 to 1023, found -1"));
  CHECK_THAT(refused({5, 6}, "x"), Contains("token_type_ids must be a list of types"));
}

TEST_CASE("embeddings in base64 are little-endian floats") {
  ServedEncoder served;
  const Json answer = served.post("/v1/embeddings", {{"input", {5, 6, 7}}, {"encoding_format", "base64"}});
  const auto bytes = colonnade::engine::decode_base64(answer["data"][0]["embedding"].get<std::string>());
  REQUIRE(bytes);
  REQUIRE(bytes->size() == 12);
  float values[3];
  std::memcpy(values, bytes->data(), 12);
  CHECK(values[0] == 3.0f);
  CHECK(values[2] == 7.0f);
}

TEST_CASE("what cannot be embedded is refused with the field, the expected and the found value") {
  ServedEncoder served;
  CHECK_THAT(served.refusal(Json::object()), Contains("input is missing"));
  CHECK_THAT(served.refusal({{"input", Json::array({Json::array()})}}), Contains("at least one token"));
  CHECK_THAT(served.refusal({{"input", Json::array()}}), Contains("at most 2048"));
  CHECK_THAT(served.refusal({{"input", 5}}), Contains("input must be"));
  CHECK_THAT(served.refusal({{"input", {5, "a"}}}), Contains("token ids"));
  CHECK_THAT(served.refusal({{"input", "a"}, {"encoding_format", "int8"}}), Contains("encoding_format") && Contains("int8"));
  CHECK_THAT(served.refusal({{"input", "a"}, {"dimensions", 2}}), Contains("dimensions") && Contains("3") && Contains("2"));
  const Json longer = served.post("/v1/embeddings", {{"input", std::vector<int>(13, 5)}}, 400);
  CHECK(longer["error"]["code"] == "context_length_exceeded");
  CHECK_THAT(longer["error"]["message"].get<std::string>(), Contains("12") && Contains("13"));
}

TEST_CASE("an encoder gives no completions, and other models no embeddings") {
  ServedEncoder encoder;
  for (const char* path : {"/v1/completions", "/v1/chat/completions"}) {
    const Json answer = encoder.post(path, {{"prompt", "a"}, {"messages", Json::array()}}, 400);
    CHECK_THAT(answer["error"]["message"].get<std::string>(), Contains("is an encoder"));
  }
  ServedEncoder decoder(0);
  CHECK_THAT(decoder.refusal({{"input", "a"}}), Contains("is no encoder"));
}

TEST_CASE("a vector with values that are no numbers is an error, in either encoding") {
  ServedEncoder served;
  served.demo.generator.no_numbers = true;
  for (const char* format : {"float", "base64"}) {
    const Json answer = served.post("/v1/embeddings", {{"input", {5, 6, 7}}, {"encoding_format", format}}, 500);
    CHECK_THAT(answer["error"]["message"].get<std::string>(), Contains("input 0") && Contains("no finite numbers"));
  }
}

TEST_CASE("an error of the workers is the answer, and a client that leaves cancels its inputs") {
  ServedEncoder served;
  served.demo.generator.fail_after = 0;
  const Json answer = served.post("/v1/embeddings", {{"input", {"a", "b"}}}, 503);
  CHECK_THAT(answer["error"]["message"].get<std::string>(), Contains("worker job"));
}
