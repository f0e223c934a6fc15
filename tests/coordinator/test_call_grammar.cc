// Whatever a grammar of calls allows is read as calls of the tools, with arguments that their schemas allow.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "coordinator/call_grammar.h"
#include "engine/text/grammar/token_grammar.h"
#include "tests/engine/text/chat_output/read_output.h"

using namespace colonnade;
using namespace colonnade::coordinator;
using colonnade::tests::read_output;

namespace {

const char* const kForms[] = {"hermes", "llama", "functionary", "nemotron", "apriel", "command-r", "qwen-coder", "seed", "minimax", "glm"};

const OrderedJson kTools = OrderedJson::parse(R"([
  {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {
    "place": {"type": "string"}, "limit": {"type": "integer"}, "unit": {"type": "string", "enum": ["km", "mile"]},
    "near": {"type": "object", "properties": {"x": {"type": "number"}, "deep": {"type": "boolean"}}, "required": ["x"], "additionalProperties": false}},
    "required": ["place", "near"], "additionalProperties": false}}},
  {"type": "function", "function": {"name": "now"}}])");

const std::vector<engine::ToolSignature> kSignatures = {
    {"find",
     {{"place", engine::ParameterKind::kString}, {"limit", engine::ParameterKind::kOther}, {"unit", engine::ParameterKind::kString},
      {"near", engine::ParameterKind::kOther}}},
    {"now", {}}};

/// Every byte is a token.
std::shared_ptr<const engine::TokenTrie> bytes_vocabulary() {
  std::vector<std::string> tokens;
  for (int i = 0; i < 256; ++i) tokens.emplace_back(1, static_cast<char>(i));
  return std::make_shared<engine::TokenTrie>(tokens);
}

/// A text of the grammar, by chance; "" when it grew too long. What ends something comes more often than chance would have it.
std::string random_text(const std::shared_ptr<const engine::TokenGrammar>& grammar, std::mt19937& random) {
  static const std::string kEnds[] = {"\"", "}", "]", "\n</parameter>\n", "</parameter>\n", "</arg_value>\n", "</function>", "</think>"};
  engine::GrammarMatcher matcher(grammar);
  std::string text, wanted;
  while (text.size() < 3000) {
    if (matcher.may_end() && (!matcher.may_continue() || random() % 2 == 0)) return text;
    std::uint32_t mask[8];
    REQUIRE(matcher.mask(mask) > 0);
    const auto allowed = [&](int c) { return (mask[c / 32] >> (c % 32) & 1) != 0; };
    if (wanted.empty() && random() % 2 == 0) wanted = kEnds[random() % std::size(kEnds)];
    char next = 0;
    if (!wanted.empty() && allowed(wanted.front())) {
      next = wanted.front();
      wanted.erase(0, 1);
    } else {
      wanted.clear();
      std::vector<char> choice;
      for (int c = 9; c < 127; ++c) {
        if (allowed(c)) choice.push_back(static_cast<char>(c));
      }
      REQUIRE(!choice.empty());
      next = choice[random() % choice.size()];
    }
    text += next;
    REQUIRE(matcher.accept(static_cast<unsigned char>(next)));
  }
  return {};
}

void check_find(const Json& arguments) {
  CHECK(arguments.at("place").is_string());
  CHECK(arguments.at("near").at("x").is_number());
  if (arguments.contains("limit")) CHECK(arguments["limit"].is_number_integer());
  if (arguments.contains("unit")) CHECK((arguments["unit"] == "km" || arguments["unit"] == "mile"));
  for (const auto& [key, value] : arguments.items()) CHECK(Json{"place", "limit", "unit", "near"}.dump().find('"' + key + '"') != std::string::npos);
}

}  // namespace

TEST_CASE("texts of call grammars are calls") {
  const auto vocabulary = bytes_vocabulary();
  std::mt19937 random(7);
  for (const char* form : kForms) {
    INFO(form);
    CHECK(!call_markers(form).empty());
    const engine::OutputFormat format{form, "think"};
    const auto grammar = call_grammar(format, {.tools = kTools, .function = "", .parallel = true});
    REQUIRE(grammar.ok());
    const auto compiled = engine::TokenGrammar::compile(*grammar, vocabulary);
    REQUIRE(compiled.ok());
    std::size_t n_found = 0, n_several = 0;
    for (int round = 0; round < 60; ++round) {
      const std::string text = random_text(*compiled, random);
      if (text.empty()) continue;
      INFO(text);
      const tests::ReadMessage message = read_output(format, {.parse_calls = true, .tools = kSignatures}, text);
      CHECK(message.content == "");
      REQUIRE(!message.calls.empty());
      n_several += message.calls.size() > 1;
      for (const tests::ReadCall& call : message.calls) {
        const Json arguments = Json::parse(call.arguments);
        if (call.name == "find") check_find(arguments);
        else CHECK(call.name == "now");
        n_found += call.name == "find";
      }
    }
    CHECK(n_found > 5);
    CHECK((n_several > 0) == (std::string_view(form) != "llama"));
  }
}

TEST_CASE("one function, one call") {
  std::mt19937 random(7);
  const engine::OutputFormat format{"hermes", "none"};
  const auto grammar = call_grammar(format, {.tools = kTools, .function = "now", .parallel = false});
  REQUIRE(grammar.ok());
  const auto compiled = engine::TokenGrammar::compile(*grammar, bytes_vocabulary());
  REQUIRE(compiled.ok());
  for (int round = 0; round < 20; ++round) {
    const std::string text = random_text(*compiled, random);
    if (text.empty()) continue;
    const tests::ReadMessage message = read_output(format, {.parse_calls = true, .tools = kSignatures}, text);
    REQUIRE(message.calls.size() == 1);
    CHECK(message.calls[0].name == "now");
  }
}

TEST_CASE("what cannot be enforced is said") {
  for (const char* form : {"mistral", "kimi", "deepseek", "harmony", "none"}) {
    CHECK(call_markers(form).empty());
    const auto grammar = call_grammar({form, "none"}, {.tools = kTools, .function = "", .parallel = true});
    REQUIRE(!grammar.ok());
    CHECK(grammar.error().code == ErrorCode::kUnsupported);
    CHECK_THAT(grammar.error().message, Catch::Contains(form));
  }
  const OrderedJson wrong = OrderedJson::parse(
      R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"$ref": "http://x/y"}}}}}])");
  for (const char* form : {"hermes", "qwen-coder"}) {
    const auto grammar = call_grammar({form, "none"}, {.tools = wrong, .function = "", .parallel = true});
    REQUIRE(!grammar.ok());
    CHECK_THAT(grammar.error().message, Catch::Contains("tool \"f\""));
  }
}
