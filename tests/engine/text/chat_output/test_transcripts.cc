// What models of each family write, and what it means. Every transcript is read at every cut, as text and with its
// special tokens as such.
#include <catch2/catch.hpp>

#include "tests/engine/text/chat_output/read_output.h"

using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

struct Transcript {
  const char* what;
  OutputFormat format;
  std::string output;
  ReadMessage message;
  OutputOptions::Start start = OutputOptions::Start::kMessage;
};

constexpr auto kReasoning = OutputOptions::Start::kReasoning;

const std::vector<ToolSignature> kTools = {
    {"get_weather", {{"location", ParameterKind::kString}, {"days", ParameterKind::kOther}}},
    {"search", {{"query", ParameterKind::kUnknown}}},
};

void check(const Transcript& one, bool parse_calls = true) {
  INFO(one.what << ": " << one.output);
  const OutputOptions options{.parse_calls = parse_calls, .tools = kTools, .start = one.start};
  const ReadMessage whole = read_output(one.format, options, one.output);
  CHECK(whole == one.message);
  const auto specials = special_spellings(one.output);
  for (std::size_t cut = 0; cut <= one.output.size(); ++cut) {
    INFO("cut at " << cut);
    REQUIRE(read_output_cut(one.format, options, one.output, cut) == one.message);
  }
  if (specials.empty()) return;
  for (std::size_t cut = 0; cut <= one.output.size(); ++cut) {
    bool within = false;  // a special token comes whole
    for (const std::string& special : specials) {
      for (std::size_t at = one.output.find(special); at != std::string::npos; at = one.output.find(special, at + 1)) {
        within |= cut > at && cut < at + special.size();
      }
    }
    if (within) continue;
    INFO("with special tokens, cut at " << cut);
    REQUIRE(read_output_cut(one.format, options, one.output, cut, specials) == one.message);
  }
}

const OutputFormat kHermes{"hermes", "think"};

}  // namespace

TEST_CASE("Hermes and Qwen: JSON in tool_call tags") {
  check({"plain", kHermes, " Hello, <b>you</b>\n", {"", " Hello, <b>you</b>\n", {}}});
  check({"one", kHermes, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Paris\"}}\n</tool_call>",
         {"", "", {{"get_weather", "{\"location\": \"Paris\"}", ""}}}});
  check({"two, with words before", kHermes,
         "Let me look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"location\": \"}</tool_call>\"}}\n</tool_call>\n"
         "<tool_call>{\"arguments\": {\"query\": [1, {\"a\": null}]}, \"name\": \"search\", \"other\": 1}</tool_call>",
         {"", "Let me look.",
          {{"get_weather", "{\"location\": \"}</tool_call>\"}", ""}, {"search", "{\"query\": [1, {\"a\": null}]}", ""}}}});
  check({"reasoning first", kHermes, "<think>\nParis <tool_call> is\n</think>\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\nDone.",
         {"Paris <tool_call> is", "Done.", {{"f", "{}", ""}}}});
  check({"reasoning that the prompt opened", kHermes, "So.\n</think>\n\nYes </think> no.", {"So.", "Yes </think> no.", {}}, kReasoning});
  check({"opened twice", kHermes, "\n<think>\nSo.</think>Yes", {"So.", "Yes", {}}, kReasoning});
  check({"reasoning never ends", kHermes, "<think>So it", {"So it", "", {}}});
  check({"a think tag in the answer", kHermes, "The tag <think> opens", {"", "The tag <think> opens", {}}});
  check({"no arguments", kHermes, "<tool_call>{\"name\": \"now\"}</tool_call>", {"", "", {{"now", "{}", ""}}}});
  check({"arguments as a string", kHermes, "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>",
         {"", "", {{"f", "{\"a\": 1}", ""}}}});
  check({"a raw line end in a string", kHermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"x\ny\"}}</tool_call>",
         {"", "", {{"f", "{\"a\": \"x\\ny\"}", ""}}}});
  check({"the end tag is missing", kHermes, "<tool_call>{\"name\": \"f\", \"arguments\": {}}\n<tool_call>{\"name\": \"g\"}",
         {"", "", {{"f", "{}", ""}, {"g", "{}", ""}}}});
}

TEST_CASE("what is no call comes back") {
  check({"no JSON", kHermes, "Use <tool_call> like\nthis", {"", "Use <tool_call> like\nthis", {}}});
  check({"half a marker", kHermes, "a <tool_c", {"", "a <tool_c", {}}});
  check({"no name", kHermes, "x <tool_call>{\"arguments\": {\"a\": 1}}</tool_call> y",
         {"", "x <tool_call>{\"arguments\": {\"a\": 1}}</tool_call> y", {}}});
  check({"broken before arguments", kHermes, "<tool_call>{\"name\": \"f\", oops}</tool_call>",
         {"", "<tool_call>{\"name\": \"f\", oops}</tool_call>", {}}});
  check({"a call behind one that is none", kHermes, "<tool_call>oops</tool_call>\n<tool_call>{\"name\": \"f\"}</tool_call>",
         {"", "<tool_call>oops</tool_call>", {{"f", "{}", ""}}}});
  check({"breaks off within arguments", kHermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": oops}}</tool_call>",
         {"", "oops}}</tool_call>", {{"f", "{\"a\": ", ""}}}});
  check({"ends within arguments", kHermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"lo", {"", "", {{"f", "{\"a\": \"lo", ""}}}});
  check({"ends before arguments", kHermes, "Hm <tool_call>{\"name\": \"f\"", {"", "Hm <tool_call>{\"name\": \"f\"", {}}});
  check({"arguments that are no object", kHermes, "<tool_call>{\"name\": \"f\", \"arguments\": 3}</tool_call>",
         {"", "<tool_call>{\"name\": \"f\", \"arguments\": 3}</tool_call>", {}}});
  check({"too deep", kHermes, "<tool_call>" + std::string(100, '['), {"", "<tool_call>" + std::string(100, '['), {}}});
}

TEST_CASE("calls are content when nobody asked for them") {
  const std::string call = "<tool_call>\n{\"name\": \"f\"}\n</tool_call>";
  check({"not asked", kHermes, "<think>a</think>" + call, {"a", call, {}}}, false);
  check({"no format", {"none", "none"}, "<think>" + call + " ", {"", "<think>" + call + " ", {}}});
}

TEST_CASE("other forms with JSON between markers") {
  const std::string list = "[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", \"arguments\": {}}]";
  const ReadMessage two{"", "Hm.", {{"f", "{\"a\": 1}", ""}, {"g", "{}", ""}}};
  check({"Nemotron", {"nemotron", "think"}, "Hm.\n<TOOLCALL>" + list + "</TOOLCALL>\n", two});
  check({"Apriel", {"apriel", "thinking"}, "<thinking>b</thinking>Hm.\n<tool_calls>" + list + "</tool_calls>",
         {"b", "Hm.", two.calls}});
  check({"Granite", {"granite", "granite"}, "<think>b</think>\n\n<response>Hm.</response><|tool_call|>" + list, {"b", "Hm.", two.calls}});
  check({"Apertus", {"apertus", "apertus"}, "<|inner_prefix|>b<|inner_suffix|>Hm.<|tools_prefix|>[{\"f\": {\"a\": 1}}, {\"g\": {}}]<|tools_suffix|>",
         {"b", "Hm.", two.calls}});
  check({"Command R+", {"command-r", "none"}, "Hm.\nAction:\n```json\n[{\"tool_name\": \"f\", \"parameters\": {\"a\": 1}}, {\"tool_name\": \"g\", \"parameters\": {}}]```", two});
  check({"Command R7B", {"command-r", "command-r"}, "<|START_THINKING|>b<|END_THINKING|><|START_ACTION|>[{\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {}}]<|END_ACTION|>",
         {"b", "", {{"f", "{}", "0"}}}});
  check({"GigaChat", {"gigachat", "none"}, "Hm.<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}<|message_sep|>",
         {"", "Hm.", {{"f", "{\"a\": 1}", ""}}}});
}

TEST_CASE("Llama 3: the message is a call") {
  const OutputFormat llama{"llama", "none"};
  check({"bare", llama, "{\"name\": \"search\", \"parameters\": {\"query\": \"x\"}}", {"", "", {{"search", "{\"query\": \"x\"}", ""}}}});
  check({"with its type, tagged, two", llama, "<|python_tag|>{\"type\": \"function\", \"name\": \"search\", \"parameters\": {}}; {\"name\": \"get_weather\", \"parameters\": {\"days\": 2}}",
         {"", "", {{"search", "{}", ""}, {"get_weather", "{\"days\": 2}", ""}}}});
  check({"JSON that is no call", llama, "{\"name\": \"Bob\", \"age\": 7}", {"", "{\"name\": \"Bob\", \"age\": 7}", {}}});
  check({"not at the beginning", llama, "See {\"name\": \"search\"}", {"", "See {\"name\": \"search\"}", {}}});
  check({"built in", llama, "<|python_tag|>brave_search.call(query=\"a, (b)\", n=2)",
         {"", "", {{"brave_search", "{\"query\": \"a, (b)\", \"n\": 2}", ""}}}});
  check({"code", llama, "<|python_tag|>print(1)", {"", "<|python_tag|>print(1)", {}}});
}

TEST_CASE("Mistral: names or a list behind TOOL_CALLS") {
  const OutputFormat mistral{"mistral", "mistral"};
  check({"new", mistral, "[THINK]so[/THINK]Hm.[TOOL_CALLS]f[ARGS]{\"a\": \"[x]\"}[TOOL_CALLS]g[CALL_ID]abc123def[ARGS]{}",
         {"so", "Hm.", {{"f", "{\"a\": \"[x]\"}", ""}, {"g", "{}", "abc123def"}}}});
  check({"without ARGS", mistral, "[TOOL_CALLS]f{\"a\": 1}", {"", "", {{"f", "{\"a\": 1}", ""}}}});
  check({"old", mistral, "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"arguments\": {}, \"id\": \"x12345678\", \"name\": \"g\"}]",
         {"", "", {{"f", "{\"a\": 1}", ""}, {"g", "{}", "x12345678"}}}});
  check({"no call", mistral, "[TOOL_CALLS]two words {\"a\": 1}", {"", "[TOOL_CALLS]two words {\"a\": 1}", {}}});
}

TEST_CASE("DeepSeek: full-width markers") {
  const OutputFormat deepseek{"deepseek", "think"};
  check({"V3.1", deepseek, "So</think>Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜><｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
         {"So", "Hm.", {{"f", "{\"a\": 1}", ""}, {"g", "{}", ""}}}, kReasoning});
  check({"V3 and R1", deepseek, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": \"```\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
         {"", "", {{"f", "{\"a\": \"```\"}", ""}, {"g", "{}", ""}}}});
  // As text it is what the reasoning talks about, as a token it ends the reasoning.
  const std::string open = "So<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
  const OutputOptions options{.parse_calls = true, .tools = {}, .start = kReasoning};
  CHECK(read_output(deepseek, options, open) == ReadMessage{open, "", {}});
  CHECK(read_output_cut(deepseek, options, open, 0, special_spellings(open)) == ReadMessage{"So", "", {{"f", "{}", ""}}});
}

TEST_CASE("Kimi: the id is in the header") {
  check({"two", {"kimi", "think"}, "Hm.<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\": 1}<|tool_call_end|><|tool_call_begin|>functions.g:1<|tool_call_argument_begin|><|tool_call_end|><|tool_calls_section_end|>",
         {"", "Hm.", {{"f", "{\"a\": 1}", "functions.f:0"}, {"g", "{}", "functions.g:1"}}}});
}

TEST_CASE("functionary: the function in its tag") {
  const OutputFormat functionary{"functionary", "none"};
  check({"two", functionary, "Hm.<function=f>{\"a\": 1}</function><function=g>{}</function>", {"", "Hm.", {{"f", "{\"a\": 1}", ""}, {"g", "{}", ""}}}});
  check({"none", functionary, "<function=f> is a tag", {"", "<function=f> is a tag", {}}});
}

TEST_CASE("Qwen3-Coder: each parameter in its tag") {
  const OutputFormat coder{"qwen-coder", "think"};
  check({"kinds", coder,
         "Hm.\n<tool_call>\n<function=get_weather>\n<parameter=location>\n12\n</parameter>\n<parameter=days>\n2\n</parameter>\n"
         "<parameter=other>\nTrue\n</parameter>\n<parameter=text>\nso </function> it\n</parameter>\n</function>\n</tool_call>",
         {"", "Hm.", {{"get_weather", "{\"location\": \"12\", \"days\": 2, \"other\": true, \"text\": \"so </function> it\"}", ""}}}});
  check({"lines in a string", coder, "<tool_call>\n<function=get_weather>\n<parameter=location>\n\na\"b\\\n\n</parameter>\n</function>\n</tool_call>",
         {"", "", {{"get_weather", "{\"location\": \"\\na\\\"b\\\\\\n\"}", ""}}}});
  check({"empty, without the outer tag", coder, "<function=get_weather>\n<parameter=location>\n\n</parameter>\n</function>",
         {"", "", {{"get_weather", "{\"location\": \"\"}", ""}}}});
  check({"no parameters, then words", coder, "<tool_call><function=now></function></tool_call>\nDone",
         {"", "Done", {{"now", "{}", ""}}}});
  check({"no function", coder, "<tool_call>\nwords <function=f>\n", {"", "<tool_call>\nwords <function=f>\n", {}}});
  check({"ends within a value", coder, "<tool_call><function=search><parameter=query>\n[1, 2", {"", "", {{"search", "{\"query\": \n[1, 2", ""}}}});
  check({"words between parameters", coder, "<tool_call><function=search><parameter=query>1</parameter> so <parameter=b>",
         {"", "so <parameter=b>", {{"search", "{\"query\": 1}", ""}}}});
}

TEST_CASE("Seed-OSS and MiniMax: the same idea with other tags") {
  check({"Seed", {"seed", "seed"}, "<seed:think>so</seed:think>\n<seed:tool_call>\n<function=get_weather>\n<parameter=location>Paris</parameter>\n<parameter=days>{'a': [True, None, 'é\"x\"', -1.5]}</parameter>\n</function>\n</seed:tool_call>",
         {"so", "", {{"get_weather", "{\"location\": \"Paris\", \"days\": {\"a\": [true, null, \"é\\\"x\\\"\", -1.5]}}", ""}}}});
  check({"MiniMax", {"minimax", "think"}, "so\n</think>\n\n<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"location\">Paris</parameter>\n<parameter name=\"days\">[1]</parameter>\n</invoke>\n<invoke name=\"now\">\n</invoke>\n</minimax:tool_call>",
         {"so", "", {{"get_weather", "{\"location\": \"Paris\", \"days\": [1]}", ""}, {"now", "{}", ""}}}, kReasoning});
}

TEST_CASE("GLM: keys and values") {
  const OutputFormat glm{"glm", "think"};
  check({"two", glm, "\n<think>so</think>\nHm.\n<tool_call>get_weather\n<arg_key>location</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>now\n</tool_call>",
         {"so", "Hm.", {{"get_weather", "{\"location\": \"Paris\", \"days\": 2}", ""}, {"now", "{}", ""}}}});
  check({"none", glm, "<tool_call>two words</tool_call>", {"", "<tool_call>two words</tool_call>", {}}});
  check({"ends within a key", glm, "<tool_call>f<arg_key>lo", {"", "<arg_key>lo", {{"f", "", ""}}}});
}

TEST_CASE("gpt-oss: channels") {
  const OutputFormat harmony{"harmony", "harmony"};
  check({"answer", harmony, "<|channel|>analysis<|message|>So.<|end|><|start|>assistant<|channel|>final<|message|>Yes.\n",
         {"So.", "Yes.\n", {}}});
  check({"call, recipient behind the channel", harmony, "<|channel|>analysis<|message|>So.<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>",
         {"So.", "", {{"f", "{\"a\": 1}", ""}}}});
  check({"call, recipient first, and one more", harmony, " to=functions.f<|channel|>commentary json<|message|>{}<|call|><|start|>assistant to=browser.search<|channel|>commentary<|message|>{\"q\": 1}",
         {"", "", {{"f", "{}", ""}, {"browser.search", "{\"q\": 1}", ""}}}});
  check({"a preamble", harmony, "<|channel|>commentary<|message|>Let me look.<|end|><|start|>assistant<|channel|>commentary to=functions.f<|message|>{}",
         {"", "Let me look.", {{"f", "{}", ""}}}});
  check({"no channels", harmony, "Just text to=x", {"", "Just text to=x", {}}});
  check({"within the answer", harmony, "goes on.", {"", "goes on.", {}}, OutputOptions::Start::kContent});
}
