// Which forms a template speaks of, and the parts that the families share.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "engine/text/chat_output/json_scanner.h"
#include "engine/text/chat_output/python_literal.h"
#include "tests/engine/text/chat_output/read_output.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade::engine;

namespace {

/// How many characters of the text belong to the value it begins with; -1 when it begins with none.
int extent(std::string_view text) {
  JsonScanner scanner;
  for (std::size_t i = 0; i < text.size(); ++i) {
    switch (scanner.push(text[i])) {
      case JsonScanner::Step::kMore:
        break;
      case JsonScanner::Step::kEnd:
        return static_cast<int>(i) + 1;
      case JsonScanner::Step::kEndBefore:
        return static_cast<int>(i);
      case JsonScanner::Step::kBroken:
        return -1;
    }
  }
  return -1;
}

}  // namespace

TEST_CASE("a template shows the forms of its model") {
  struct Case {
    const char* file;
    OutputFormat format;
  };
  COLONNADE_SHARED_PATH(folder, "data/chat_templates");
  for (const Case& one : {Case{"deepseek-ai-DeepSeek-R1", {"deepseek", "think"}}, Case{"deepseek-ai-DeepSeek-V3.1", {"deepseek", "think"}},
                          Case{"google-gemma-2-2b-it", {"none", "none"}}, Case{"microsoft-Phi-3.5-mini-instruct", {"none", "none"}},
                          Case{"mistral-common-v1", {"none", "none"}}, Case{"meta-llama-Meta-Llama-3-8B-Instruct", {"none", "none"}},
                          Case{"Qwen-Qwen2-0.5B-Instruct", {"none", "none"}}, Case{"llama-cpp-rwkv-world", {"none", "think"}}}) {
    INFO(one.file);
    std::ifstream in(folder / (std::string(one.file) + ".jinja"), std::ios::binary);
    const OutputFormat found = detect_output_format(std::string(std::istreambuf_iterator<char>(in), {}));
    CHECK(found.tools == one.format.tools);
    CHECK(found.reasoning == one.format.reasoning);
  }
}

TEST_CASE("reasoning tokens that the template does not name") {
  const auto vocabulary = [](std::string_view token) { return token == "[THINK]" || token == "[/THINK]" || token == "<think>"; };
  CHECK(detect_output_format("[TOOL_CALLS]", vocabulary).reasoning == "mistral");
  CHECK(detect_output_format("<seed:think>", vocabulary).reasoning == "seed");
}

TEST_CASE("every name of a form makes a parser") {
  for (const std::string_view tools : tool_formats()) {
    for (const std::string_view reasoning : reasoning_formats()) {
      const OutputFormat format{std::string(tools), std::string(reasoning)};
      CHECK(colonnade::tests::read_output(format, {.parse_calls = true, .tools = {}}, "Some words.").content == "Some words.");
    }
  }
}

TEST_CASE("the prompt's end says whether reasoning is open") {
  CHECK(opens_reasoning("think", "<|im_start|>assistant\n<think>\n"));
  CHECK(opens_reasoning("mistral", "[/INST][THINK]"));
  CHECK(!opens_reasoning("think", "<|im_start|>assistant\n<think>\n\n</think>\n\n"));
  CHECK(!opens_reasoning("think", "say <think>\n<|im_end|>\n<|im_start|>assistant\n"));
  CHECK(!opens_reasoning("none", "<think>"));
  CHECK(!opens_reasoning("harmony", "<|start|>assistant"));
}

TEST_CASE("a JSON value ends where the grammar says") {
  CHECK(extent("{\"a\": [1, -2.5e+3, \"}\\\"\", null, true]} x") == 38);
  CHECK(extent(" []x") == 3);
  CHECK(extent("12,") == 2);
  CHECK(extent("\"\\u00e9\"") == 8);
  CHECK(extent("[\"a\nb\"]") == 7);
  for (const char* wrong : {"{a: 1}", "[1,]", "{\"a\" 1}", "[1 2]", "01,", "1.,", "-,", "+1", "nul,", "{\"a\": 1,}", "\"\\x\"", "\"\\u00g0\"",
                            "]", "[}", "{]", ",", "tru ", "1e,"}) {
    INFO(wrong);
    CHECK(extent(wrong) == -1);
  }
  CHECK(extent(std::string(64, '[') + std::string(64, ']')) == 128);
  CHECK(extent(std::string(65, '[') + std::string(65, ']')) == -1);
}

TEST_CASE("Python literals become JSON") {
  CHECK(json_of_python("{'a': [True, False, None, 1, -2.5], \"b\": (1,)}") == "{\"a\": [true, false, null, 1, -2.5], \"b\": [1]}");
  CHECK(json_of_python("'it\\'s \"x\" \\n'") == "\"it's \\\"x\\\" \\n\"");
  CHECK(json_of_python_arguments("a='x', b=2") == "{\"a\": \"x\", \"b\": 2}");
  CHECK(json_of_python_arguments("") == "{}");
  for (const char* wrong : {"", "x", "{'a': }", "['a'", "'a", "{1: 2}", "[1 2]", "'a\\", "{'a' 1}", "f(1)"}) {
    INFO(wrong);
    CHECK(!json_of_python(wrong));
  }
  CHECK(!json_of_python(std::string(100, '[') + std::string(100, ']')));
  CHECK(!json_of_python_arguments("a"));
  CHECK(!json_of_python_arguments("=1"));
}
