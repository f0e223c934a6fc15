// What chat requests mean: messages, tools and variables as the template gets them, and what is wrong with wrong ones.
#include <catch2/catch.hpp>

#include "coordinator/api_request.h"
#include "coordinator/constraint_compiler.h"
#include "tests/coordinator/chat_backend.h"

using namespace colonnade;
using namespace colonnade::coordinator;
using colonnade::tests::ChatBackend;
using Start = engine::OutputOptions::Start;

namespace {

struct Reader {
  ChatBackend demo{{"hermes", "think"}, "Yes."};

  ApiRequest read(const std::string& body) {
    ApiRequest request;
    if (const auto error = read_api_request(body, true, demo.backend, request)) FAIL(error->message);
    return request;
  }
  ApiError error(const std::string& body) {
    ApiRequest request;
    const auto found = read_api_request(body, true, demo.backend, request);
    INFO(body);
    REQUIRE(found.has_value());
    CHECK(found->status == 400);
    CHECK(found->message.find('\n') == std::string::npos);
    return *found;
  }
  OrderedJson messages(const std::string& list) {
    read("{\"messages\": " + list + "}");
    return demo.last_input().messages;
  }
};

const std::string kUser = R"({"role": "user", "content": "Hi"})";
const std::string kTool =
    R"({"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}, "days": {"type": "integer"}, "any": {}}}}})";

std::string with(const std::string& fields) { return "{\"messages\": [" + kUser + "], " + fields + "}"; }

}  // namespace

TEST_CASE("messages reach the template in the order of their keys") {
  Reader reader;
  CHECK(reader.messages("[" + kUser + "]").dump() == R"([{"role":"user","content":"Hi"}])");
  CHECK(reader.messages(R"([{"zebra": 1, "role": "user", "name": "Bo", "content": "Hi", "apple": 2}])").dump() ==
        R"([{"zebra":1,"role":"user","name":"Bo","content":"Hi","apple":2}])");
}

TEST_CASE("roles and content as the template knows them") {
  Reader reader;
  const std::string developer = R"([{"role": "developer", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]}])";
  CHECK(reader.messages(developer).dump() == R"([{"role":"system","content":"A\nB"}])");
  reader.demo.backend.chat.traits.developer = true;
  reader.demo.backend.chat.traits.parts = true;
  CHECK(reader.messages(developer).dump() == R"([{"role":"developer","content":[{"type":"text","text":"A"},{"type":"text","text":"B"}]}])");
  reader.demo.backend.chat.traits.only_parts = true;
  CHECK(reader.messages("[" + kUser + "]").dump() == R"([{"role":"user","content":[{"type":"text","text":"Hi"}]}])");
}

TEST_CASE("calls in the history: arguments as an object or as text, names of results") {
  Reader reader;
  const std::string history =
      R"([{"role": "assistant", "content": null, "reasoning_content": "So.", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"z\": 1, \"a\": [2]}"}}]},)"
      R"( {"role": "tool", "tool_call_id": "call_1", "content": "22"}])";
  CHECK(reader.messages(history).dump() ==
        R"([{"role":"assistant","content":"","reasoning_content":"So.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":{"z":1,"a":[2]}}}]},)"
        R"({"role":"tool","tool_call_id":"call_1","content":"22","name":"f"}])");
  reader.demo.backend.chat.traits.arguments_as_text = true;
  reader.demo.backend.chat.traits.thinking = true;
  const OrderedJson as_text = reader.messages(history);
  CHECK(as_text[0]["tool_calls"][0]["function"]["arguments"] == "{\"z\": 1, \"a\": [2]}");
  CHECK(as_text[0]["thinking"] == "So.");
  const std::string broken =
      R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{\"z\": "}}]}, {"role": "assistant", "content": "x", "tool_calls": []}])";
  const OrderedJson kept = reader.messages(broken);
  CHECK(kept[0]["tool_calls"][0]["function"]["arguments"] == "{\"z\": ");
  CHECK(!kept[1].contains("tool_calls"));
}

TEST_CASE("tools and the choice among them") {
  Reader reader;
  const ApiRequest request = reader.read(with("\"tools\": [" + kTool + "]"));
  CHECK(reader.demo.last_input().tools.dump() == OrderedJson::parse("[" + kTool + "]").dump());
  REQUIRE(request.output.has_value());
  CHECK(request.output->options.parse_calls);
  CHECK(request.output->parallel_calls);
  const engine::ToolSignature& tool = request.output->options.tools.at(0);
  CHECK(tool.name == "get_weather");
  REQUIRE(tool.parameters.size() == 3);
  for (const engine::ToolParameter& one : tool.parameters) {
    CHECK(one.kind == (one.name == "zone"   ? engine::ParameterKind::kString
                       : one.name == "days" ? engine::ParameterKind::kOther
                                            : engine::ParameterKind::kUnknown));
  }
  const ApiRequest none = reader.read(with("\"tools\": [" + kTool + "], \"tool_choice\": \"none\", \"parallel_tool_calls\": false"));
  CHECK(reader.demo.last_input().tools.is_null());
  CHECK(!none.output->options.parse_calls);
  CHECK(!none.output->parallel_calls);
}

TEST_CASE("a choice that requires calls holds the answer to them") {
  Reader reader;
  const engine::Tokenizer& tokenizer = *reader.demo.backend.tokenizer;
  reader.demo.backend.constraints = std::make_shared<ConstraintCompiler>(tokenizer, tokenizer.vocab_size());
  // Whether the constraint takes a text, spelled in bytes, to its end.
  const auto allows = [&](const ApiRequest& request, const std::string& text) {
    REQUIRE(request.generation.constraint != nullptr);
    const auto constraint = request.generation.constraint->start();
    for (const char c : text) {
      constexpr const char* kDigits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      if (!constraint->accept(tokenizer.token_id(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">"))) return false;
    }
    return constraint->may_end();
  };
  const auto call = [](const std::string& name, const std::string& arguments) {
    return "<tool_call>\n{\"name\": \"" + name + "\", \"arguments\": " + arguments + "}\n</tool_call>";
  };
  const std::string tools = "\"tools\": [" + kTool + R"(, {"type": "function", "function": {"name": "now"}}], "tool_choice": )";

  const ApiRequest any = reader.read(with(tools + "\"required\""));
  CHECK(any.output->options.parse_calls);
  CHECK(allows(any, call("get_weather", "{\"zone\": \"x\", \"days\": 2}")));
  CHECK(allows(any, "<think>So.</think>\n\n" + call("now", "{}") + "\n" + call("now", "{}")));
  CHECK(!allows(any, ""));
  CHECK(!allows(any, "No."));
  CHECK(!allows(any, call("other", "{}")));
  CHECK(!allows(any, call("get_weather", "{\"days\": \"two\"}")));

  const ApiRequest named = reader.read(with(tools + R"({"type": "function", "function": {"name": "now"}}, "parallel_tool_calls": false)"));
  CHECK(allows(named, call("now", "{}")));
  CHECK(!allows(named, call("get_weather", "{}")));
  CHECK(!allows(named, call("now", "{}") + "\n" + call("now", "{}")));

  CHECK(reader.error(with(tools + R"("required", "response_format": {"type": "json_object"})")).param == "response_format");
  reader.demo.backend.chat.format.tools = "mistral";
  CHECK_THAT(reader.error(with(tools + "\"required\"")).message, Catch::Contains("cannot be enforced in this model's form (mistral)"));
}

TEST_CASE("where the answer begins") {
  Reader reader;
  CHECK(reader.read(with("\"n\": 1")).output->options.start == Start::kMessage);
  CHECK(reader.demo.last_input().add_generation_prompt);
  reader.demo.prompt_end = "<think>\n";
  CHECK(reader.read(with("\"n\": 1")).output->options.start == Start::kReasoning);
  const std::string half = R"({"continue_final_message": true, "messages": [)" + kUser + R"(, {"role": "assistant", "content": ")";
  CHECK(reader.read(half + "Half an\"}]}").output->options.start == Start::kContent);
  CHECK(!reader.demo.last_input().add_generation_prompt);
  CHECK(reader.demo.last_input().continue_final_message);
  CHECK(reader.read(half + "<think>Half an\"}]}").output->options.start == Start::kReasoning);
  reader.demo.backend.chat.format = {"none", "none"};
  CHECK(!reader.read(with("\"n\": 1")).output.has_value());
}

TEST_CASE("variables for the template") {
  Reader reader;
  reader.read(with(R"("reasoning_effort": "none", "chat_template_kwargs": {"b": 1, "a": [true]}, "documents": [{"text": "x"}])"));
  CHECK(reader.demo.last_input().variables.dump() ==
        R"({"b":1,"a":[true],"reasoning_effort":"none","enable_thinking":false,"thinking":false})");
  CHECK(reader.demo.last_input().documents.dump() == R"([{"text":"x"}])");
  reader.read(with(R"("reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": true}, "add_generation_prompt": false)"));
  CHECK(reader.demo.last_input().variables.dump() == R"({"enable_thinking":true,"reasoning_effort":"high"})");
  CHECK(!reader.demo.last_input().add_generation_prompt);
}

TEST_CASE("what is wrong is named by its place") {
  Reader reader;
  struct Wrong {
    std::string body;
    const char* param;
    const char* words;
  };
  const auto said = [](const std::string& message) { return "{\"messages\": [" + kUser + ", " + message + "]}"; };
  const auto tool = [](const std::string& one) { return with("\"tools\": [" + kTool + ", " + one + "]"); };
  for (const Wrong& one : {
           Wrong{"{}", "messages", "at least one message, found null"},
           Wrong{said("7"), "messages", "messages[1] must be an object, found 7"},
           Wrong{said(R"({"role": "robot"})"), "messages", "messages[1].role must be"},
           Wrong{said(R"({"role": "user", "content": 7})"), "messages", "messages[1].content must be a string or a list of parts, found 7"},
           Wrong{said(R"({"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url"}]})"), "messages",
                 "messages[1].content[1].type must be \"text\" (this server takes no other parts), found \"image_url\""},
           Wrong{said(R"({"role": "user", "content": "x", "name": 7})"), "messages", "messages[1].name must be a string"},
           Wrong{said(R"({"role": "assistant", "tool_calls": {}})"), "messages", "messages[1].tool_calls must be a list"},
           Wrong{said(R"({"role": "assistant", "tool_calls": [{"type": "custom"}]})"), "messages", "messages[1].tool_calls[0].type must be"},
           Wrong{said(R"({"role": "assistant", "tool_calls": [{"function": {"name": ""}}]})"), "messages", "function.name must be a name"},
           Wrong{said(R"({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": 7}}]})"), "messages", "arguments must be"},
           Wrong{said(R"({"role": "user", "content": "refuse"})"), "messages", "roles must alternate"},
           Wrong{with("\"tools\": 7"), "tools", "tools must be a list"},
           Wrong{tool("{\"type\": \"retrieval\"}"), "tools", "tools[1].type must be \"function\", found \"retrieval\""},
           Wrong{tool(R"({"type": "function", "function": {"name": "a b"}})"), "tools", "tools[1].function.name"},
           Wrong{tool(R"({"type": "function", "function": {"name": "a", "parameters": []}})"), "tools", "parameters must be a JSON schema"},
           Wrong{with("\"tool_choice\": \"required\""), "tool_choice", "must go with tools"},
           Wrong{with("\"tool_choice\": \"maybe\", \"tools\": [" + kTool + "]"), "tool_choice", "\"none\", \"auto\""},
           Wrong{with(R"("tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": [)" + kTool + "]"), "tool_choice",
                 "must name one of the tools, found \"g\""},
           Wrong{with("\"documents\": [7]"), "documents", "a list of objects, found 7"},
           Wrong{with("\"chat_template_kwargs\": 7"), "chat_template_kwargs", "an object"},
           Wrong{with("\"chat_template_kwargs\": {\"messages\": []}"), "chat_template_kwargs", "messages"},
           Wrong{with("\"chat_template\": \"x\""), "chat_template", "--allow-request-templates"},
           Wrong{with("\"reasoning_effort\": 7"), "reasoning_effort", "a string"},
           Wrong{with("\"continue_final_message\": true, \"add_generation_prompt\": true"), "continue_final_message", "found both"},
       }) {
    INFO(one.words);
    const ApiError error = reader.error(one.body);
    CHECK(error.param == one.param);
    CHECK_THAT(error.message, Catch::Contains(one.words));
  }
}

TEST_CASE("tools need a template that takes them; templates of requests need leave") {
  Reader reader;
  reader.demo.backend.chat.traits.tools = false;
  CHECK_THAT(reader.error(with("\"tools\": [" + kTool + "]")).message, Catch::Contains("chat template does not take them"));
  reader.demo.backend.chat.allow_request_templates = true;
  const ApiRequest request = reader.read(with("\"chat_template\": \"OWN\""));
  CHECK(reader.demo.backend.tokenizer->decode(request.prompts[0], true) == "OWN\"Hi\"<answer>");
}
