// What published templates take, found out by rendering, against what their texts say; and conversations through them that
// come back as they went in.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "coordinator/chat_renderer.h"
#include "coordinator/message_fields.h"
#include "tests/coordinator/chat_backend.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::coordinator;

namespace {

struct Published {
  const char* name;
  bool tools, parts, arguments_as_text, developer;
};

// Read off the templates by hand.
const Published kPublished[] = {
    {"Qwen-Qwen3-0.6B", true, false, false, false},
    {"Qwen-Qwen2.5-7B-Instruct", true, false, false, false},
    {"meta-llama-Llama-3.1-8B-Instruct", true, false, false, false},
    {"GLM-4.6", true, true, false, false},
    {"mistral-common-v13", true, true, false, false},
    {"openai-gpt-oss-120b", true, false, false, true},
    {"deepseek-ai-DeepSeek-R1", false, false, true, false},
    {"google-gemma-2-2b-it", false, false, false, false},
    {"Qwen-Qwen2-0.5B-Instruct", false, false, false, false},
};

ChatSettings settings_of(const char* name, const engine::Tokenizer& tokenizer) {
  std::ifstream in(tests::shared_data() / "data/chat_templates" / (std::string(name) + ".jinja"), std::ios::binary);
  const std::string source(std::istreambuf_iterator<char>(in), {});
  auto templates = engine::ChatTemplates::from_text(source, name);
  REQUIRE(templates.ok());
  templates->set_special_token("bos_token", "<s>");
  templates->set_special_token("eos_token", "</s>");
  return chat_settings_of(std::make_shared<engine::ChatTemplates>(*std::move(templates)), tokenizer);
}

}  // namespace

TEST_CASE("what published templates take") {
  COLONNADE_SHARED_PATH(folder, "data/chat_templates");
  const auto tokenizer = tests::demo_tokenizer();
  for (const Published& one : kPublished) {
    INFO(one.name);
    const ChatTraits traits = settings_of(one.name, *tokenizer).traits;
    CHECK(traits.tools == one.tools);
    CHECK(traits.parts == one.parts);
    CHECK(!traits.only_parts);
    CHECK(traits.arguments_as_text == one.arguments_as_text);
    CHECK(traits.developer == one.developer);
    CHECK(traits.thinking == (std::string_view(one.name) == "openai-gpt-oss-120b"));
  }
}

TEST_CASE("a model without templates is a plain text") {
  const auto tokenizer = tests::demo_tokenizer();
  const ChatSettings settings = chat_settings_of(std::make_shared<engine::ChatTemplates>(), *tokenizer);
  CHECK(!settings.render);
  CHECK(!settings.traits.tools);
  CHECK(describe(settings) == "chat: the model has no template; messages are one plain text");
}

TEST_CASE("an answer that is sent back as the history renders as what the model wrote") {
  COLONNADE_SHARED_PATH(folder, "data/chat_templates");
  const auto tokenizer = tests::demo_tokenizer();
  const OrderedJson request = OrderedJson::parse(R"([{"role": "user", "content": "Where?"},
    {"role": "assistant", "content": null, "tool_calls": [{"id": "abc123def", "type": "function", "function":
      {"name": "find", "arguments": "{\"place\": \"Paris\", \"limit\": 3}"}}]}])");
  const OrderedJson tools = OrderedJson::parse(R"([{"type": "function", "function": {"name": "find", "description": "Finds.", "parameters":
    {"type": "object", "properties": {"place": {"type": "string", "description": "Where."}, "limit": {"type": "integer", "description": "How many."}}, "required": ["place"]}}}])");
  std::size_t n_read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    const std::string name = entry.path().stem().string();
    const ChatSettings settings = settings_of(name.c_str(), *tokenizer);
    if (settings.format.tools == "none") continue;
    // They render no calls, something else behind them, quotes escaped for HTML, or fail at any call.
    static constexpr std::string_view kOthers[] = {"ibm-granite-granite-3.3-2B-Instruct", "CohereForAI-c4ai-command-r-plus-tool_use",
                                                   "mistral-common-v3", "mistral-common-v7", "llama-cpp-deepseek-r1"};
    if (std::find(std::begin(kOthers), std::end(kOthers), name) != std::end(kOthers)) continue;
    INFO(name);
    const Json none = Json::object();
    RequestFields fields(none);
    engine::ChatInput input;
    input.tools = tools;
    input.messages = read_chat_messages(fields, request, settings.traits);
    REQUIRE(fields.ok());
    const auto whole = settings.render(input, {});
    REQUIRE(whole.ok());
    // The model's part is what follows the prompt. Where the prompt of an answer says more (an empty reasoning block), it
    // is what follows the conversation.
    input.messages.erase(1);
    std::string part;
    for (const bool prompt_of_answer : {true, false}) {
      input.add_generation_prompt = prompt_of_answer;
      const auto before = settings.render(input, {});
      REQUIRE(before.ok());
      if (part.empty() && whole->text.starts_with(before->text)) part = whole->text.substr(before->text.size());
    }
    INFO(part);
    engine::OutputOptions options{.parse_calls = true, .tools = {{"find", {{"place", engine::ParameterKind::kString}, {"limit", engine::ParameterKind::kOther}}}}};
    const auto parser = engine::make_output_parser(settings.format, options);
    engine::OutputEvents events = parser->push_text(part);
    for (const engine::OutputEvent& event : parser->finish()) events.push_back(event);
    std::string called, arguments;
    for (const engine::OutputEvent& event : events) {
      if (event.kind == engine::OutputEvent::Kind::kCallBegin) called += event.text;
      if (event.kind == engine::OutputEvent::Kind::kArguments) arguments += event.text;
    }
    CHECK(called == "find");
    CHECK(Json::parse(arguments) == Json{{"place", "Paris"}, {"limit", 3}});
    ++n_read;
  }
  CHECK(n_read > 20);
}
