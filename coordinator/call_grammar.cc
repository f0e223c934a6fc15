#include "coordinator/call_grammar.h"

#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/grammar/json_schema.h"

namespace colonnade::coordinator {
namespace {

using engine::GrammarBuilder;
using engine::GrammarExpr;
using engine::kUnbounded;

/// {"name": NAME, "arguments": {…}} between markers.
struct JsonForm {
  const char* format;
  const char* open;       // before the first call
  const char* name_open;  // before each name
  const char* arguments;  // between name and arguments
  const char* end;        // behind each call's arguments
  const char* between;    // calls; "" where there is only one
  const char* close;      // behind the last
};
constexpr JsonForm kJsonForms[] = {
    {"hermes", "<tool_call>\n", "{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>", "\n<tool_call>\n", ""},
    {"llama", "", "{\"name\": \"", "\", \"parameters\": ", "}", "", ""},
    {"functionary", "", "<function=", ">", "</function>", "", ""},
    {"nemotron", "<TOOLCALL>[", "{\"name\": \"", "\", \"arguments\": ", "}", ", ", "]</TOOLCALL>"},
    {"apriel", "<tool_calls>[", "{\"name\": \"", "\", \"arguments\": ", "}", ", ", "]</tool_calls>"},
    {"command-r", "Action:\n```json\n[", "{\"tool_name\": \"", "\", \"parameters\": ", "}", ", ", "]```"},
};

/// Each argument between tags of its own.
struct TagForm {
  const char* format;
  const char* open;
  const char* name_open;
  const char* name_end;
  const char* key_open;
  const char* value_open;
  const char* line;       // before the end of a value; a string may do without
  const char* value_end;  // a line end follows
  const char* end;
  const char* between;
  const char* close;
};
constexpr TagForm kTagForms[] = {
    {"qwen-coder", "<tool_call>\n", "<function=", ">\n", "<parameter=", ">\n", "\n", "</parameter>", "</function>\n</tool_call>",
     "\n<tool_call>\n", ""},
    {"seed", "<seed:tool_call>\n", "<function=", ">\n", "<parameter=", ">", "", "</parameter>", "</function>", "\n", "\n</seed:tool_call>"},
    {"minimax", "<minimax:tool_call>\n", "<invoke name=\"", "\">\n", "<parameter name=\"", "\">", "", "</parameter>", "</invoke>", "\n",
     "\n</minimax:tool_call>"},
    {"glm", "<tool_call>", "", "\n", "<arg_key>", "</arg_key>\n<arg_value>", "", "</arg_value>", "</tool_call>", "\n<tool_call>", ""},
};

/// A tag for each place in which one stands may be a token of its own, and must then be an ordinary one.
void append_tags(std::string_view text, std::vector<std::string_view>& tags) {
  for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    const std::size_t end = text.find('>', at);
    if (end != std::string_view::npos) tags.push_back(text.substr(at, end + 1 - at));
  }
}

template <typename Forms>
auto find_form(const Forms& forms, std::string_view name) {
  const auto found = std::find_if(std::begin(forms), std::end(forms), [&](const auto& form) { return form.format == name; });
  return found == std::end(forms) ? nullptr : &*found;
}

const OrderedJson& member(const OrderedJson& object, const char* name) {
  static const OrderedJson kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

Error at_tool(const Error& error, const std::string& name) {
  return {error.code, text("the parameters of tool \"", name, "\" cannot be enforced: ", error.message)};
}

class Writer {
 public:
  /// The arguments as one JSON object.
  Result<GrammarExpr> object(const std::string& name, OrderedJson schema) {
    if (schema.is_null()) return engine::add_json_object(builder_);
    if (!schema.contains("type")) schema["type"] = "object";
    auto expr = engine::add_json_schema(builder_, schema);
    if (!expr.ok()) return at_tool(expr.error(), name);
    return expr;
  }

  /// The arguments as tags, in the order of the schema.
  Result<GrammarExpr> tags(const std::string& name, const OrderedJson& schema, const TagForm& form) {
    std::vector<GrammarExpr> parts;
    const OrderedJson& properties = member(schema, "properties");
    const OrderedJson& required = member(schema, "required");
    for (const auto& [key, property] : properties.items()) {
      auto content = value(property, form);
      if (!content.ok()) return at_tool(content.error(), name);
      const GrammarExpr one =
          builder_.sequence({literal(form.key_open), literal(key), literal(form.value_open), *content, literal("\n")});
      const bool must = std::find(required.begin(), required.end(), key) != required.end();
      parts.push_back(must ? one : builder_.optional(one));
    }
    return builder_.sequence(parts);
  }

  GrammarExpr literal(std::string_view text) { return text.empty() ? builder_.empty() : builder_.literal(text); }
  GrammarBuilder& builder() { return builder_; }

 private:
  /// A string stands as it is, up to its end tag.
  Result<GrammarExpr> value(const OrderedJson& schema, const TagForm& form) {
    const OrderedJson& options = member(schema, "enum");
    const GrammarExpr end = builder_.sequence({literal(form.line), literal(form.value_end)});
    if (member(schema, "type") == "string" && options.is_array()) {
      std::vector<GrammarExpr> choices;
      for (const OrderedJson& one : options) {
        if (one.is_string()) choices.push_back(literal(one.get_ref<const std::string&>()));
      }
      return builder_.sequence({builder_.choice(choices), end});
    }
    if (member(schema, "type") == "string") return builder_.text_until(form.value_end);
    COLONNADE_ASSIGN(const GrammarExpr json, engine::add_json_schema(builder_, schema));
    return builder_.sequence({json, end});
  }

  GrammarBuilder builder_;
};

/// The prompt may have opened reasoning, and others handle its end; or the model opens it.
GrammarExpr reasoning(Writer& writer, const std::string& format) {
  GrammarBuilder& builder = writer.builder();
  const GrammarExpr lines = builder.repeat(builder.chars({{U'\n', U'\n'}}), 0, 2);
  if (format != "think" && format != "granite") return lines;
  return builder.sequence({builder.optional(builder.sequence({builder.literal("<think>"), builder.text_until("</think>")})), lines});
}

template <typename Form>
Result<engine::Grammar> grammar_of(const Form& form, const std::string& reasoning_format, const CallRules& rules) {
  Writer writer;
  std::vector<GrammarExpr> calls;
  for (const OrderedJson& tool : rules.tools) {
    const OrderedJson& function = tool.at("function");
    const std::string name = function.at("name");
    if (!rules.function.empty() && name != rules.function) continue;
    GrammarExpr arguments = -1;
    if constexpr (std::is_same_v<Form, JsonForm>) {
      COLONNADE_ASSIGN(arguments, writer.object(name, member(function, "parameters")));
      arguments = writer.builder().sequence({writer.literal(form.arguments), arguments});
    } else {
      COLONNADE_ASSIGN(arguments, writer.tags(name, member(function, "parameters"), form));
      arguments = writer.builder().sequence({writer.literal(form.name_end), arguments});
    }
    calls.push_back(writer.builder().sequence({writer.literal(form.name_open), writer.literal(name), arguments, writer.literal(form.end)}));
  }
  GrammarBuilder& builder = writer.builder();
  // A rule, because it stands in two places.
  const GrammarExpr call = builder.use(builder.add_rule("call", builder.choice(calls)));
  std::vector<GrammarExpr> all = {reasoning(writer, reasoning_format), writer.literal(form.open), call};
  const bool only_one = std::string_view(form.format) == "llama";
  if (rules.parallel && !only_one) all.push_back(builder.repeat(builder.sequence({writer.literal(form.between), call}), 0, kUnbounded));
  all.push_back(writer.literal(form.close));
  return builder.finish(builder.sequence(all));
}

}  // namespace

std::vector<std::string_view> call_markers(std::string_view tool_format) {
  std::vector<std::string_view> markers;
  if (const JsonForm* form = find_form(kJsonForms, tool_format)) {
    for (const char* text : {form->open, form->end, form->close}) append_tags(text, markers);
    if (markers.empty()) markers.push_back("{");  // nothing that could be a special token
  } else if (const TagForm* tags = find_form(kTagForms, tool_format)) {
    for (const char* text : {tags->open, tags->value_open, tags->value_end, tags->end, tags->close}) append_tags(text, markers);
  }
  return markers;
}

Result<engine::Grammar> call_grammar(const engine::OutputFormat& format, const CallRules& rules) {
  if (const JsonForm* form = find_form(kJsonForms, format.tools)) return grammar_of(*form, format.reasoning, rules);
  if (const TagForm* form = find_form(kTagForms, format.tools)) return grammar_of(*form, format.reasoning, rules);
  return Error{ErrorCode::kUnsupported, text("calls in the form \"", format.tools, "\" cannot be enforced")};
}

}  // namespace colonnade::coordinator
