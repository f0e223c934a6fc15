#include "coordinator/tool_fields.h"

#include <algorithm>

#include "engine/base/format_text.h"

namespace colonnade::coordinator {
namespace {

using engine::ParameterKind;

constexpr std::size_t kMaxNameBytes = 64;  // as OpenAI has it

/// A schema that allows strings and nothing else but null is one of strings.
ParameterKind kind_of(const Json& schema) {
  if (!schema.is_object()) return ParameterKind::kUnknown;
  const Json type = schema.value("type", Json());
  if (type == "string") return ParameterKind::kString;
  if (type.is_string()) return ParameterKind::kOther;
  if (!type.is_array()) {
    const Json options = schema.value("enum", Json());
    const bool texts = options.is_array() && !options.empty() &&
                       std::all_of(options.begin(), options.end(), [](const Json& one) { return one.is_string(); });
    return texts ? ParameterKind::kString : ParameterKind::kUnknown;
  }
  if (std::find(type.begin(), type.end(), Json("string")) == type.end()) return ParameterKind::kOther;
  const bool only = std::all_of(type.begin(), type.end(), [](const Json& one) { return one == "string" || one == "null"; });
  return only ? ParameterKind::kString : ParameterKind::kUnknown;
}

bool is_name(const Json& value) {
  if (!value.is_string()) return false;
  const auto& name = value.get_ref<const std::string&>();
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && std::all_of(name.begin(), name.end(), fits);
}

void read_tool(RequestFields& fields, const Json& tool, const std::string& place, ChatRequest& chat) {
  const auto wrong = [&](const char* what, const char* expected, const Json& found) {
    fields.fail("tools", text(place, what, " must be ", expected, ", found ", found.is_structured() ? text("an ", found.type_name()) : dump_json(found)));
  };
  if (!tool.is_object()) return wrong("", "an object", tool);
  const Json type = tool.value("type", Json());
  if (type != "function") return wrong(".type", "\"function\"", type);
  const Json function = tool.value("function", Json());
  if (!function.is_object()) return wrong(".function", "an object", function);
  const Json name = function.value("name", Json());
  if (!is_name(name)) return wrong(".function.name", "1 to 64 letters, digits, '_', '-' or '.'", name);
  const Json parameters = function.value("parameters", Json());
  if (!parameters.is_null() && !parameters.is_object()) return wrong(".function.parameters", "a JSON schema (an object)", parameters);
  engine::ToolSignature& signature = chat.tools.emplace_back();
  signature.name = name.get<std::string>();
  const Json properties = parameters.is_object() ? parameters.value("properties", Json()) : Json();
  if (!properties.is_object()) return;
  for (const auto& [property, schema] : properties.items()) signature.parameters.push_back({property, kind_of(schema)});
}

void read_choice(RequestFields& fields, ChatRequest& chat) {
  constexpr const char* kExpected = "\"none\", \"auto\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": …}}";
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr || *choice == "auto") return;
  if (*choice == "none") {
    chat.choice = CallChoice::kNone;
  } else if (*choice == "required") {
    chat.choice = CallChoice::kRequired;
  } else {
    const Json function = choice->is_object() ? choice->value("function", Json()) : Json();
    const Json name = function.is_object() ? function.value("name", Json()) : Json();
    if (!name.is_string()) return fields.wrong("tool_choice", kExpected, *choice);
    chat.choice = CallChoice::kRequired;
    chat.function = name.get<std::string>();
    const bool known = std::any_of(chat.tools.begin(), chat.tools.end(), [&](const auto& tool) { return tool.name == chat.function; });
    if (!known) fields.fail("tool_choice", text("tool_choice must name one of the tools, found ", dump_json(name)));
  }
}

}  // namespace

void read_tools(RequestFields& fields, const OrderedJson& body, const ApiBackend& backend, ChatRequest& chat) {
  fields.read("parallel_tool_calls", chat.parallel_calls);
  const Json* tools = fields.find("tools");
  if (tools == nullptr || (tools->is_array() && tools->empty())) {
    const Json* choice = fields.find("tool_choice");
    if (choice != nullptr && *choice != "none" && *choice != "auto") fields.fail("tool_choice", "tool_choice must go with tools, found none");
    return;
  }
  if (!tools->is_array()) return fields.wrong("tools", "a list of tools", *tools);
  if (tools->size() > kMaxTools) return fields.fail("tools", text("tools must be at most ", kMaxTools, ", found ", tools->size()));
  for (std::size_t i = 0; i < tools->size(); ++i) read_tool(fields, (*tools)[i], text("tools[", i, "]"), chat);
  chat.choice = CallChoice::kAuto;
  read_choice(fields, chat);
  if (!fields.ok() || chat.choice == CallChoice::kNone) return;
  if (!backend.chat.traits.tools) {
    return fields.fail("tools", "tools are not supported by this model: its chat template does not take them", "unsupported_parameter");
  }
  chat.input.tools = body["tools"];
}

}  // namespace colonnade::coordinator
