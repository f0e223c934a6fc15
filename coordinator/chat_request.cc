#include "coordinator/chat_request.h"

#include "coordinator/message_fields.h"
#include "coordinator/tool_fields.h"
#include "engine/base/format_text.h"

namespace colonnade::coordinator {
namespace {

const OrderedJson& member(const OrderedJson& body, const char* name) {
  static const OrderedJson kNull;
  const auto found = body.find(name);
  return found == body.end() ? kNull : *found;
}

void read_documents(RequestFields& fields, const OrderedJson& body, ChatRequest& chat) {
  const Json* documents = fields.find("documents");
  if (documents == nullptr) return;
  if (!documents->is_array()) return fields.wrong("documents", "a list of objects", *documents);
  for (const Json& one : *documents) {
    if (!one.is_object()) return fields.wrong("documents", "a list of objects", one);
  }
  chat.input.documents = body["documents"];
}

void read_variables(RequestFields& fields, const OrderedJson& body, ChatRequest& chat) {
  OrderedJson& variables = chat.input.variables;
  if (const Json* given = fields.find("chat_template_kwargs")) {
    if (!given->is_object()) return fields.wrong("chat_template_kwargs", "an object", *given);
    variables = body["chat_template_kwargs"];
    for (const char* name : {"messages", "tools", "documents", "add_generation_prompt", "chat_template"}) {
      if (!variables.contains(name)) continue;
      return fields.fail("chat_template_kwargs", text("chat_template_kwargs must not have ", name, ", which is a field of the request"));
    }
  }
  std::string effort;
  fields.read("reasoning_effort", effort);
  if (effort.empty()) return;
  if (!variables.contains("reasoning_effort")) variables["reasoning_effort"] = effort;
  // Where a template knows reasoning as a switch.
  for (const char* name : {"enable_thinking", "thinking"}) {
    if (effort == "none" && !variables.contains(name)) variables[name] = false;
  }
}

void read_template(RequestFields& fields, const ApiBackend& backend, ChatRequest& chat) {
  fields.read("chat_template", chat.chat_template);
  if (chat.chat_template.empty() || (backend.chat.allow_request_templates && backend.chat.render)) return;
  fields.fail("chat_template", "chat_template is refused: this server takes no templates from requests (--allow-request-templates)",
              "unsupported_parameter");
}

}  // namespace

ChatRequest read_chat_request(RequestFields& fields, const OrderedJson& ordered, const ApiBackend& backend) {
  ChatRequest chat;
  read_tools(fields, ordered, backend, chat);
  read_documents(fields, ordered, chat);
  read_variables(fields, ordered, chat);
  read_template(fields, backend, chat);
  fields.read("continue_final_message", chat.input.continue_final_message);
  chat.input.add_generation_prompt = !chat.input.continue_final_message;
  fields.read("add_generation_prompt", chat.input.add_generation_prompt);
  if (chat.input.add_generation_prompt && chat.input.continue_final_message) {
    fields.fail("continue_final_message", "continue_final_message must not go with add_generation_prompt: expected one of them, found both");
  }
  if (!fields.ok()) return chat;
  chat.input.messages = read_chat_messages(fields, member(ordered, "messages"), backend.chat.traits);
  return chat;
}

}  // namespace colonnade::coordinator
