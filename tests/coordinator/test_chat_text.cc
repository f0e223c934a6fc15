// Chat messages as their tokens come: stop strings, log-probabilities, ids, one call only.
#include <catch2/catch.hpp>

#include "coordinator/chat_text.h"
#include "tests/coordinator/chat_backend.h"

using namespace colonnade;
using namespace colonnade::coordinator;
using colonnade::tests::tokenizer_with;

namespace {

struct Read {
  std::string text, reasoning;
  std::vector<CallDelta> calls;
  std::vector<std::int32_t> tokens;
  bool stopped = false;
  std::string reason;
  std::size_t reasoning_tokens = 0;
};

Read read(const ChatOutput& output, const std::string& answer, std::vector<std::string> stops = {},
          const std::vector<std::string>& special = {}) {
  const auto tokenizer = tokenizer_with(special);
  int n_ids = 0;
  ChatText chat(*tokenizer, {}, output, std::move(stops), [&] { return "id" + std::to_string(++n_ids); });
  Read all;
  const auto take = [&](ChoiceDelta delta) {
    all.text += delta.text;
    all.reasoning += delta.reasoning;
    for (CallDelta& call : delta.calls) {
      if (!call.id.empty()) {
        CHECK(call.index == all.calls.size());
        all.calls.push_back(std::move(call));
      } else {
        REQUIRE(!all.calls.empty());
        CHECK(call.index == all.calls.size() - 1);
        all.calls.back().arguments += call.arguments;
      }
    }
    for (const ChoiceToken& token : delta.tokens) all.tokens.push_back(token.token);
  };
  for (const std::int32_t token : tokenizer->encode(answer, engine::SpecialTokens::kRecognise, false)) {
    if (!chat.stopped()) take(chat.push({.token = token, .logprob = {}, .top = {}}));
  }
  if (!chat.stopped()) take(chat.finish());
  all.stopped = chat.stopped();
  all.reason = chat.stop_reason();
  all.reasoning_tokens = chat.reasoning_tokens();
  return all;
}

const ChatOutput kHermes{.format = {"hermes", "think"}, .options = {.parse_calls = true, .tools = {}}};
const std::string kCall = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"so\"}}\n</tool_call>";

std::vector<std::int32_t> ids(const std::string& text) {
  return tests::demo_tokenizer()->encode(text, engine::SpecialTokens::kRecognise, false);
}

}  // namespace

TEST_CASE("parts of a message, and the tokens of all of them") {
  const std::string answer = "<think>\nWhy not?\n</think>\n\nLet me see.\n" + kCall;
  const Read message = read(kHermes, answer);
  CHECK(message.reasoning == "Why not?");
  CHECK(message.text == "Let me see.");
  REQUIRE(message.calls.size() == 1);
  CHECK(message.calls[0].id == "id1");
  CHECK(message.calls[0].name == "f");
  CHECK(message.calls[0].arguments == "{\"a\": \"so\"}");
  CHECK(message.reason == std::string("tool_calls"));
  CHECK(message.tokens == ids(answer));
  CHECK(message.reasoning_tokens > 3);
  CHECK(message.reasoning_tokens < ids(answer).size() / 2);
}

TEST_CASE("stop strings count in the content only") {
  const Read message = read(kHermes, "<think>a STOP b</think>c " + kCall, {"STOP", "so"});
  CHECK(message.reasoning == "a STOP b");
  CHECK(message.calls.size() == 1);
  CHECK(!message.stopped);
  const Read cut = read(kHermes, "One two STOP three" + kCall, {"STOP"});
  CHECK(cut.text == "One two ");
  CHECK(cut.stopped);
  CHECK(cut.calls.empty());
  CHECK(cut.reason == std::string("stop"));
  // The beginning of a stop string before a call is content, and does not go on behind it.
  const Read across = read(kHermes, "One ST" + kCall + "OP", {"STOP"});
  CHECK(across.text == "One STOP");
  CHECK(!across.stopped);
}

TEST_CASE("with one call only the answer ends behind it") {
  ChatOutput output = kHermes;
  output.parallel_calls = false;
  const Read message = read(output, kCall + "\n" + kCall);
  CHECK(message.stopped);
  CHECK(message.reason == std::string("tool_calls"));
  REQUIRE(message.calls.size() == 1);
  CHECK(message.calls[0].arguments == "{\"a\": \"so\"}");
}

TEST_CASE("special tokens are markers, and never content") {
  const std::vector<std::string> special = {"<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>",
                                            "<|tool_call_end|>", "<|tool_calls_section_end|>", "<|other|>"};
  const ChatOutput kimi{.format = {"kimi", "none"}, .options = {.parse_calls = true, .tools = {}}};
  const std::string answer =
      "Well.<|other|><|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\": 1}<|tool_call_end|>"
      "<|tool_calls_section_end|>";
  const Read message = read(kimi, answer, {}, special);
  CHECK(message.text == "Well.");
  REQUIRE(message.calls.size() == 1);
  CHECK(message.calls[0].id == "functions.f:0");
  CHECK(message.calls[0].name == "f");
  CHECK(message.calls[0].arguments == "{\"a\": 1}");
}
