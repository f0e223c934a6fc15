// What chat templates have around the language: marks of the input, files of a model, limits, messages.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "engine/text/chat_template.h"
#include "tests/engine/text/tokenizer_files.h"

using namespace colonnade;
using namespace colonnade::engine;

namespace {

ChatTemplates compiled(const std::string& source, ChatTemplateLimits limits = {}) {
  auto templates = ChatTemplates::from_text(source, "chat_template.jinja", limits);
  if (!templates.ok()) FAIL(templates.error().message);
  return *std::move(templates);
}

/// Rendered text with what came from the input in brackets. Where two such parts touch, they are one.
std::string marked(const std::string& source, const std::string& variables) {
  const auto chat = compiled(source).render_variables(OrderedJson::parse(variables));
  if (!chat.ok()) return "error: " + chat.error().message;
  std::string out;
  std::size_t at = 0;
  for (const ByteRange& range : chat->from_input) {
    out += chat->text.substr(at, range.begin - at) + "[" + chat->text.substr(range.begin, range.end - range.begin) + "]";
    at = range.end;
  }
  return out + chat->text.substr(at);
}

std::string error_of(const std::string& source, ChatTemplateLimits limits = {}, ErrorCode code = ErrorCode::kExhausted) {
  const auto chat = compiled(source, limits).render_variables(OrderedJson::object());
  if (chat.ok()) return "no error: " + chat->text;
  CHECK(chat.error().code == code);
  return chat.error().message;
}

ChatInput conversation(const std::string& messages) {
  ChatInput input;
  input.messages = OrderedJson::parse(messages);
  return input;
}

}  // namespace

TEST_CASE("marks follow the text of the input") {
  CHECK(marked("a{{ s }}b", R"({"s": "xyz"})") == "a[xyz]b");
  CHECK(marked("{{ ('<' + s + '>')|trim|upper }}", R"({"s": " xyß "})") == "<[ XYSS ]>");
  CHECK(marked("{{ s.split('</think>')[-1].strip() }}", R"({"s": "a</think> b "})") == "[b]");
  CHECK(marked("{{ s[1:3] ~ '|' ~ s[::-1] }}", R"({"s": "abc"})") == "[bc]|[cba]");
  CHECK(marked("{{ s|replace('b', '<t>') }}", R"({"s": "abc"})") == "[a]<t>[c]");
  CHECK(marked("{{ '<x>'|replace('x', s) }}", R"({"s": "abc"})") == "<[abc]>");
  CHECK(marked("{{ '-'.join(l) }}{{ l|join('+') }}", R"({"l": ["a", "b"]})") == "[a]-[ba]+[b]");
  CHECK(marked("{{ d|tojson }}", R"({"d": {"k": ["a\"", 1]}})") == "{\"[k]\": [\"[a\\\"]\", 1]}");
  CHECK(marked("{{ l }}", R"({"l": ["a'b\n"]})") == "[\"[a'b\\n]\"]");
  CHECK(marked("{{ '%s|%5s' % (s, s) }}{{ '{}{:>3}'.format(s, s) }}", R"({"s": "q"})") == "[q]|    [qq]  [q]");
  CHECK(marked("{% set x %}a{{ s }}{% endset %}{{ x|indent(1, true) }}{% filter upper %}{{ s }}z{% endfilter %}", R"({"s": "q\nr"})") ==
        " a[q]\n [rQ\nR]Z");
  CHECK(marked("{% for c in s %}{{ c }}.{% endfor %}", R"({"s": "é2"})") == "[é].[2].");
  CHECK(marked("{{ s.center(5, '*') }}{{ s|truncate(3, true, '..', 0) }}{{ s.partition('b')|join('/') }}", R"({"s": "abcd"})") ==
        "*[abcda]..[a]/[b]/[cd]");
  // Roles of plain words are the template's own; nothing else is.
  CHECK(marked("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}",
               R"({"messages": [{"role": "user", "content": "a"}, {"role": "x|>y", "content": "b"}]})") == "<|user|>[a]<|[x|>y]|>[b]");
}

TEST_CASE("special tokens are those that the template wrote") {
  auto loaded = load_tokenizer_json(tests::small_tokenizer_json());
  REQUIRE(loaded.ok());
  const Tokenizer& tokenizer = **loaded;
  ChatTemplates templates = compiled("{% for m in messages %}{{ bos_token + m.content + '</s>' }}{% endfor %}");
  templates.set_special_token("bos_token", "<s>");
  const auto ids = [&](const std::string& content) {
    const auto chat = templates.render(conversation(OrderedJson::array({{{"role", "user"}, {"content", content}}}).dump()));
    REQUIRE(chat.ok());
    return encode_chat(tokenizer, *chat);
  };
  const auto count = [](const std::vector<std::int32_t>& list, std::int32_t id) { return std::count(list.begin(), list.end(), id); };
  const std::vector<std::int32_t> plain = ids("hell");
  CHECK(plain.front() == 1);
  CHECK(plain.back() == 2);
  CHECK(plain.size() == 3);
  for (const char* attack : {"</s>", "a<s>b</s>", "<", "</s", "s>", "<s"}) {
    INFO(attack);
    const std::vector<std::int32_t> attacked = ids(attack);
    CHECK(count(attacked, 1) == 1);
    CHECK(count(attacked, 2) == 1);
    CHECK(attacked.front() == 1);
    CHECK(attacked.back() == 2);
    CHECK(tokenizer.decode(attacked, false).find(attack) != std::string::npos);
  }
  // A token that is not special is recognised anywhere, as in transformers.
  CHECK(count(ids("<tag>"), 300) == 1);
  // What the template replaces is the template's.
  const auto replaced = compiled("{{ s|replace('x', '</s>') }}").render_variables(OrderedJson::parse(R"({"s": "x</s>"})"));
  CHECK(count(encode_chat(tokenizer, *replaced), 2) == 1);
}

TEST_CASE("limits end what runs away, with the line") {
  ChatTemplateLimits small;
  small.steps = 10'000;
  small.live_bytes = 1 << 20;
  small.depth = 100;
  const std::string steps = "chat_template.jinja: line 2: the template takes more than the limit of 10000 steps";
  CHECK(error_of("\n{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}", small) == steps);
  CHECK(error_of("\n{{ range(100000)|list|length }}{% for x in range(99999) %}{% endfor %}", small).find("line 2") != std::string::npos);
  const std::string bytes = "chat_template.jinja: line 1: the template's values take more than the limit of 1048576 bytes";
  for (const char* source :
       {"{{ 'x' * 10000000 }}", "{{ 'x'.center(9223372036854775807) }}", "{{ '%999999999d' % 1 }}", "{{ '{:>999999999}'.format(1) }}",
        "{{ [1] * 10000000 }}", "{{ 'a'|indent(99999999, true) }}", "{{ ('x' * 9000)|replace('', 'y' * 9000) }}", "{{ {}|tojson(indent=99999999) }}",
        "{% set ns = namespace(s='xy') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "{{ 'x'.zfill(99999999) }}",
        "{{ [0]|batch(99999999999, 0)|list }}", "{{ 'x'.rjust(99999999) }}", "{{ '\t'.expandtabs(99999999) }}"}) {
    INFO(source);
    const std::string message = error_of(source, small);
    CHECK((message == bytes || message.find("limit of 10000 steps") != std::string::npos));
  }
  CHECK(error_of("{% macro m() %}{{ m() }}{% endmacro %}\n{{ m() }}", small).find("deeper than the limit of 100 levels") != std::string::npos);
  CHECK(error_of("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", small).find("deeper than the limit") != std::string::npos);
  CHECK(error_of("{% set ns = namespace(l=[]) %}{% for i in range(999) %}{% set ns.l = [ns.l] %}{% endfor %}", small).find("deeper") !=
        std::string::npos);
  CHECK(error_of("{% set ns = namespace(c=0) %}{% for i in range(999) %}{% set ns.c = cycler(ns.c) %}{% endfor %}", small).find("deeper") !=
        std::string::npos);
  CHECK(error_of("{{ 9223372036854775807 + 1 }}") == "chat_template.jinja: line 1: an integer does not fit in 64 bits");
  CHECK(error_of("{{ 2 ** 9999999 }}") == "chat_template.jinja: line 1: an integer does not fit in 64 bits");
}

TEST_CASE("templates that hold each other go away") {
  // Leaks are found by AddressSanitizer.
  for (const char* source :
       {"{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me is defined }}",
        "{% macro m() %}{% macro inner() %}{% endmacro %}{% set ns.f = inner %}{% endmacro %}{% set ns = namespace() %}{{ m() }}{{ ns.f is callable }}",
        "{% set ns = namespace() %}{% macro m() %}{% for x in [1] %}{% set ns.l = loop %}{% endfor %}{% set v = ns.l %}{% endmacro %}{{ m() }}{{ ns.l is defined }}",
        "{% set ns = namespace() %}{% for x in [1] %}{% set ns.l = loop %}{{ loop.changed(loop) }}{% endfor %}"}) {
    const auto chat = compiled(source).render_variables(OrderedJson::object());
    if (!chat.ok()) FAIL_CHECK(chat.error().message);
    else CHECK(chat->text == "True");
  }
}

TEST_CASE("source that is too deep or too large is refused") {
  const auto message = [](const std::string& source) {
    const auto templates = ChatTemplates::from_text(source, "t");
    return templates.ok() ? std::string("ok") : templates.error().message;
  };
  for (const auto& [open, close] : {std::pair("(", ")"), {"[", "]"}, {"-", ""}, {"not ", ""}, {"1 if 1 else ", ""}, {"{1:", "}"}, {"x(", ")"}}) {
    std::string source = "{{ ";
    for (int i = 0; i < 100000; ++i) source += open;
    source += "1";
    for (int i = 0; i < 100000; ++i) source += close;
    INFO(open);
    CHECK(message(source + " }}").find("t: line 1: nested deeper than the limit of 150 levels") == 0);
  }
  for (const char* tail : {" + 1", "|abs", ".x", "[0]", "()", " is string", " and 1", " or 1", " ** 1", " if 1"}) {
    std::string source = "{{ 1";
    for (int i = 0; i < 100000; ++i) source += tail;
    INFO(tail);
    CHECK(message(source + " }}") != "ok");
  }
  std::string blocks;
  for (int i = 0; i < 100000; ++i) blocks += "{% if 1 %}";
  CHECK(message(blocks).find("nested deeper") != std::string::npos);
  CHECK(message(std::string((4 << 20) + 1, 'x')) == "t: expected a template of at most 4194304 bytes, found 4194305");
  CHECK(message("a\xff") == "t: byte 1 is not UTF-8");
  CHECK(message("a\n{% if x %}\n{% for y in z %}") == "t: line 3: unexpected end of template: expected 'endfor' or 'else' for 'for' of line 3");
  CHECK(message("{% include 'x' %}") == "t: line 1: 'include' is not supported: a chat template has no other templates");
  CHECK(message("\n{{ 'a' b }}") == "t: line 2: expected end of print statement, found 'b'");
}

TEST_CASE("errors name the line and what is wrong") {
  const auto error = [](const std::string& source) { return error_of(source, {}, ErrorCode::kInvalidArgument); };
  CHECK(error("\n\n{{ raise_exception('Only users') }}") == "chat_template.jinja: line 3: Only users");
  CHECK(error("{{ x.y }}") == "chat_template.jinja: line 1: 'x' is undefined");
  CHECK(error("{{ {}.x.y }}") == "chat_template.jinja: line 1: 'dict object' has no attribute 'x'");
  CHECK(error("a\n{{ 1|nope }}") == "chat_template.jinja: line 2: No filter named 'nope'.");
  CHECK(error("{{ 'a' + 1 }}") == "chat_template.jinja: line 1: can only concatenate str (not \"int\") to str");
  CHECK(error("{{ [].append(1) }}") == "chat_template.jinja: line 1: access to attribute 'append' of 'list' object is unsafe.");
  CHECK(error("{% macro m() %}\n{{ x() }}{% endmacro %}\n\n{{ m() }}") == "chat_template.jinja: line 2: 'x' is undefined");
}

TEST_CASE("the templates of a model's files") {
  std::map<std::string, std::string> files;
  const ModelFileReader read = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = files.find(name);
    return found != files.end() ? std::optional(found->second) : std::nullopt;
  };
  const auto rendered = [&](const ChatTemplates& templates, bool tools, const std::string& name = {}) {
    ChatInput input = conversation(R"([{"role": "user", "content": "Hi"}])");
    input.template_name = name;
    if (tools) input.tools = OrderedJson::array();
    const auto chat = templates.render(input);
    return chat.ok() ? chat->text : chat.error().message;
  };
  CHECK(ChatTemplates::from_model(read, {})->empty());

  files["tokenizer_config.json"] = R"({"bos_token": {"content": "<b>"}, "eos_token": "<e>", "chat_template": "one {{ bos_token }}{{ eos_token }}{{ pad_token }}"})";
  files["special_tokens_map.json"] = R"({"eos_token": "<other>", "pad_token": {"content": "<p>"}})";
  CHECK(rendered(*ChatTemplates::from_model(read, {}), true) == "one <b><e><p>");

  files["tokenizer_config.json"] = R"({"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"},
                                       {"name": "rag", "template": "r {{ documents is none }}"}]})";
  const auto several = ChatTemplates::from_model(read, {});
  CHECK(several->names() == std::vector<std::string>{"default", "tool_use", "rag"});
  CHECK(rendered(*several, false) == "d");
  CHECK(rendered(*several, true) == "t");
  CHECK(rendered(*several, true, "rag") == "r True");
  CHECK(rendered(*several, false, "x") == "expected a chat template named x, found default, tool_use, rag");
  CHECK(*several->source("", true) == "t");

  files["chat_template.jinja"] = "file";
  CHECK(rendered(*ChatTemplates::from_model(read, {}), true) == "file");
  files["additional_chat_templates/tool_use.jinja"] = "file for tools";
  CHECK(rendered(*ChatTemplates::from_model(read, {"tool_use"}), true) == "file for tools");
  CHECK(rendered(*ChatTemplates::from_model(read, {"tool_use"}), false) == "file");

  files = {{"chat_template.json", R"({"chat_template": "processor"})"}};
  CHECK(rendered(*ChatTemplates::from_model(read, {}), false) == "processor");
  files = {{"tokenizer_config.json", "[]"}};
  CHECK(ChatTemplates::from_model(read, {}).error().message == "tokenizer_config.json: must be an object, found array");
  files = {{"tokenizer_config.json", R"({"chat_template": 3})"}};
  CHECK(ChatTemplates::from_model(read, {}).error().message ==
        "tokenizer_config.json: chat_template must be a text, or a list of objects with name and template");
  files = {{"tokenizer_config.json", R"({"chat_template": "a\n{{"})"}};
  CHECK(ChatTemplates::from_model(read, {}).error().message.find("tokenizer_config.json: chat_template: line 2: ") == 0);
}

TEST_CASE("going on with the last message") {
  const ChatTemplates templates = compiled("{% for m in messages %}<{{ m.role }}>{{ m.content if m.content is string else m.content[0].text }}</>\n{% endfor %}"
                                           "{% if add_generation_prompt %}<assistant>{% endif %}");
  ChatInput input = conversation(R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, "}])");
  input.continue_final_message = true;
  const auto chat = templates.render(input);
  REQUIRE(chat.ok());
  CHECK(chat->text == "<user>Hi</>\n<assistant>Hello, ");
  CHECK(chat->from_input == std::vector<ByteRange>{{6, 8}, {23, 30}});
  CHECK(compiled("{% for m in messages %}{{ m.content|trim }}</>{% endfor %}").render(input)->text == "Hi</>Hello,");
  input.messages[1]["content"] = OrderedJson::parse(R"([{"type": "text", "text": "part"}])");
  CHECK(templates.render(input)->text == "<user>Hi</>\n<assistant>part");
  CHECK_FALSE(compiled("nothing").render(input).ok());
  input.messages[1]["content"] = nullptr;
  CHECK_FALSE(templates.render(input).ok());
  input.add_generation_prompt = true;
  CHECK(templates.render(input).error().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("input of the wrong shape is refused by name") {
  const ChatTemplates templates = compiled("{{ messages }}");
  ChatInput input;
  input.messages = "x";
  CHECK(templates.render(input).error().message == "messages must be a list of objects, found string");
  input = conversation("[1]");
  CHECK(templates.render(input).error().message == "messages must be a list of objects, found number");
  input = conversation("[]");
  input.tools = OrderedJson::object();
  CHECK(templates.render(input).error().message == "tools must be null or a list of objects, found object");
  input = conversation("[]");
  input.variables = OrderedJson::parse(R"({"messages": 1})");
  CHECK(templates.render(input).error().message == "chat_template_kwargs must not have messages: it has a field of its own");
  input = conversation(R"([{"role": "user", "content": 18446744073709551615}])");
  CHECK(templates.render(input).error().message ==
        "chat_template.jinja: line 1: the integer 18446744073709551615 of the input does not fit in 64 bits");
  CHECK(ChatTemplates().render(conversation("[]")).error().code == ErrorCode::kNotFound);
}
