// Conversations as the models' own templates render them: the assistant's part, read back, is the message that went in.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "engine/base/json.h"
#include "tests/engine/text/chat_output/read_output.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using colonnade::Json;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

struct Template {
  const char* name;
  const char* tools;
  const char* reasoning;
  const char* begin;  // what stands before the assistant's part
  const char* end;    // and behind it
};

constexpr const char* kChatMl = "<|im_start|>assistant\n";
constexpr const char* kLlamaHead = "<|start_header_id|>assistant<|end_header_id|>\n\n";

const Template kTemplates[] = {
    {"Apertus-8B-Instruct", "apertus", "apertus", "<|assistant_start|>", "<|tools_suffix|>"},
    {"Bielik-11B-v3.0-Instruct", "hermes", "think", kChatMl, "<|im_end|>"},
    {"ByteDance-Seed-OSS", "seed", "seed", "<seed:bos>assistant\n", "<seed:eos>"},
    {"CohereForAI-c4ai-command-r-plus-tool_use", "command-r", "none", "<|CHATBOT_TOKEN|>", "\n<|START_OF_TURN_TOKEN|>"},
    {"GLM-4.6", "glm", "think", "<|assistant|>", "<|observation|>"},
    {"GigaChat3-10B-A1.8B", "gigachat", "none", "assistant<|role_sep|>\n", "<|message_sep|>\n\nfunction result"},
    {"MiMo-VL", "hermes", "none", kChatMl, "<|im_end|>"},
    {"MiniMax-M2", "minimax", "think", "]~b]ai\n", "[e~["},
    {"Mistral-Small-3.2-24B-Instruct-2506", "mistral", "none", "[/INST]", "</s>"},
    {"NVIDIA-Nemotron-Nano-v2", "nemotron", "think", "<SPECIAL_11>Assistant\n", "\n<SPECIAL_12>"},
    {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes", "none", kChatMl, "<|im_end|>"},
    {"Qwen-QwQ-32B", "hermes", "think", kChatMl, "<|im_end|>"},
    {"Qwen-Qwen2.5-7B-Instruct", "hermes", "none", kChatMl, "<|im_end|>"},
    {"Qwen-Qwen3-0.6B", "hermes", "think", kChatMl, "<|im_end|>"},
    {"Qwen3-Coder", "qwen-coder", "none", kChatMl, "<|im_end|>"},
    {"meetkai-functionary-medium-v3.1", "functionary", "none", kLlamaHead, "<|eom_id|>"},
    {"meta-llama-Llama-3.1-8B-Instruct", "llama", "none", kLlamaHead, "<|eot_id|>"},
    {"meta-llama-Llama-3.2-3B-Instruct", "llama", "none", kLlamaHead, "<|eot_id|>"},
    {"mistral-common-v3", "mistral", "none", "[/INST]", "</s>"},
    {"mistral-common-v7", "mistral", "none", "[/INST]", "</s>"},
    {"mistral-common-v13", "mistral", "none", "[/INST]", "</s>"},
    {"mistral-common-v15", "mistral", "none", "[/INST]", "</s>"},
    {"mistralai-Mistral-Nemo-Instruct-2407", "mistral", "none", "[/INST]", "</s>"},
    {"moonshotai-Kimi-K2", "kimi", "none", "<|im_assistant|>assistant<|im_middle|>", "<|im_end|>"},
    {"openai-gpt-oss-120b", "harmony", "harmony", "<|start|>assistant", "<|call|>"},
    {"stepfun-ai-Step-3.5-Flash", "qwen-coder", "think", kChatMl, "<|im_end|>"},
    {"unsloth-Apriel-1.5", "apriel", "thinking", "<|assistant|>\n", "\n<|end|>"},
};

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<ToolSignature> signatures(const Json& tools) {
  std::vector<ToolSignature> found;
  if (!tools.is_array()) return found;
  for (const Json& tool : tools) {
    ToolSignature& one = found.emplace_back();
    one.name = tool["function"]["name"];
    for (const auto& [name, schema] : tool["function"]["parameters"]["properties"].items()) {
      one.parameters.push_back({name, schema["type"] == "string" ? ParameterKind::kString : ParameterKind::kOther});
    }
  }
  return found;
}

/// The first message of the assistant, as text; "" when it is not there.
std::string assistant_part(const Template& one, const std::string& rendered, const std::string& user) {
  // The question stands in the prompt more than once where a template repeats it.
  std::size_t begin = rendered.find(one.begin, rendered.find(user));
  if (begin == std::string::npos) return {};
  begin += std::string_view(one.begin).size();
  std::string part = rendered.substr(begin, rendered.find(one.end, begin) - begin);
  // The templates of mistral-common were rendered with quotes escaped for HTML.
  for (std::size_t at = part.find("&#34;"); at != std::string::npos; at = part.find("&#34;")) part.replace(at, 5, "\"");
  return part;
}

}  // namespace

TEST_CASE("every template's own rendering of a tool call is read back") {
  COLONNADE_SHARED_PATH(folder, "data/chat_templates");
  std::size_t n_calls = 0;
  for (const Template& one : kTemplates) {
    const OutputFormat format = detect_output_format(read_file(folder / (std::string(one.name) + ".jinja")));
    INFO(one.name);
    CHECK(format.tools == one.tools);
    CHECK(format.reasoning == one.reasoning);
    std::size_t n_here = 0;
    const Json cases = Json::parse(read_file(folder / (std::string(one.name) + ".cases.json")));
    for (const Json& test : cases["cases"]) {
      if ((test["name"] != "tool round trip" && test["name"] != "parallel tool calls") || !test.contains("expected")) continue;
      const Json& messages = test["inputs"]["messages"];
      std::size_t at = 0;
      while (messages[at]["role"] != "assistant") ++at;
      const std::string user = messages[at - 1]["content"].is_string() ? messages[at - 1]["content"].get<std::string>()
                                                                        : messages[at - 1]["content"][0]["text"].get<std::string>();
      const std::string part = assistant_part(one, test["expected"], user);
      INFO(part);
      const OutputOptions options{.parse_calls = true, .tools = signatures(test["inputs"]["tools"])};
      const ReadMessage read = read_output(format, options, part);
      for (std::size_t cut = 0; cut <= part.size(); ++cut) REQUIRE(read_output_cut(format, options, part, cut) == read);
      CHECK(read.reasoning == "");
      // Some templates leave out the words before a call, or all calls but the first.
      const Json& content = messages[at]["content"];
      const std::string words = content.is_string() ? content.get<std::string>() : std::string();
      CHECK(read.content == (part.find(words) != std::string::npos ? words : ""));
      std::size_t n_read = 0;
      for (const Json& call : messages[at]["tool_calls"]) {
        const std::string name = call["function"]["name"];
        if (part.find(name) == std::string::npos) continue;
        REQUIRE(n_read < read.calls.size());
        CHECK(read.calls[n_read].name == name);
        const Json& arguments = call["function"]["arguments"];
        CHECK(Json::parse(read.calls[n_read].arguments) ==
              (arguments.is_string() ? Json::parse(arguments.get<std::string>()) : arguments));
        ++n_read;
      }
      CHECK(n_read == read.calls.size());
      n_here += n_read;
    }
    CHECK(n_here >= 1);
    n_calls += n_here;
  }
  CHECK(n_calls > 60);
}

TEST_CASE("reasoning that a template puts into the history is read back") {
  COLONNADE_SHARED_PATH(folder, "data/chat_templates");
  const Template templates[] = {
      {"Bielik-11B-v3.0-Instruct", "hermes", "think", kChatMl, "<|im_end|>"},
      {"ByteDance-Seed-OSS", "seed", "seed", "<seed:bos>assistant\n", "<seed:eos>"},
      {"HuggingFaceTB-SmolLM3-3B", "none", "think", kChatMl, "<|im_end|>"},
      {"ibm-granite-granite-3.3-2B-Instruct", "granite", "granite", "assistant<|end_of_role|>", "<|end_of_text|>"},
  };
  for (const Template& one : templates) {
    INFO(one.name);
    const OutputFormat format = detect_output_format(read_file(folder / (std::string(one.name) + ".jinja")));
    CHECK(format.tools == one.tools);
    CHECK(format.reasoning == one.reasoning);
    std::size_t n_read = 0;
    const Json cases = Json::parse(read_file(folder / (std::string(one.name) + ".cases.json")));
    for (const Json& test : cases["cases"]) {
      if (test["name"] != "reasoning content in history" && test["name"] != "think block in history") continue;
      const std::string part = assistant_part(one, test["expected"], "What is larger");
      INFO(part);
      const ReadMessage read = read_output(format, {}, part);
      CHECK(read.reasoning == "9.90 against 9.11.");
      CHECK(read.content == "9.9 is larger.");
      ++n_read;
    }
    CHECK(n_read >= 1);
  }
}
