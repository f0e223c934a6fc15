#include "coordinator/chat_traits.h"

namespace colonnade::coordinator {
namespace {

// A word that no template has.
constexpr const char* kProbe = "qzprobe";

OrderedJson user(OrderedJson content) { return {{"role", "user"}, {"content", std::move(content)}}; }

/// What the template makes of the conversation; "" when it refuses.
std::string rendered(const ChatRenderer& render, OrderedJson messages, OrderedJson tools = nullptr) {
  engine::ChatInput input;
  input.messages = std::move(messages);
  input.tools = std::move(tools);
  const auto chat = render(input, {});
  return chat.ok() ? chat->text : std::string();
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

bool prints_tools(const ChatRenderer& render) {
  const OrderedJson tool = {{"type", "function"},
                            {"function",
                             {{"name", kProbe},
                              {"description", "A tool."},
                              {"parameters",
                               {{"type", "object"},
                                {"properties", {{"place", {{"type", "string"}, {"description", "Where."}}}}},
                                {"required", OrderedJson::array({"place"})}}}}}};
  return contains(rendered(render, OrderedJson::array({user("Hello")}), OrderedJson::array({tool})), kProbe);
}

/// As a list the content must be read, not printed as the list that it is.
bool takes_parts(const ChatRenderer& render) {
  const OrderedJson part = {{"type", "text"}, {"text", kProbe}};
  const std::string text = rendered(render, OrderedJson::array({user(OrderedJson::array({part}))}));
  return contains(text, kProbe) && !contains(text, "'text'") && !contains(text, "\"text\"");
}

bool wants_arguments_as_text(const ChatRenderer& render) {
  const auto prints = [&](OrderedJson arguments, const char* expected) {
    const OrderedJson call = {{"id", "call00001"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", std::move(arguments)}}}};
    const OrderedJson assistant = {{"role", "assistant"}, {"content", ""}, {"tool_calls", OrderedJson::array({call})}};
    const OrderedJson result = {{"role", "tool"}, {"tool_call_id", "call00001"}, {"name", "f"}, {"content", "x"}};
    return contains(rendered(render, OrderedJson::array({user("Hello"), assistant, result})), expected);
  };
  // An object that is printed as Python prints it ({'qzprobe': 1}) is no JSON either.
  return !prints({{kProbe, 1}}, kProbe) ? prints("{\"qzprobe\": 1}", "{\"qzprobe\": 1}")
                                        : prints({{kProbe, 1}}, "{'qzprobe'") && prints("{\"qzprobe\": 1}", "{\"qzprobe\": 1}");
}

}  // namespace

ChatTraits probe_chat_templates(const ChatRenderer& render, std::span<const std::string> sources) {
  ChatTraits traits;
  traits.tools = prints_tools(render);
  traits.parts = takes_parts(render);
  traits.only_parts = traits.parts && !contains(rendered(render, OrderedJson::array({user(kProbe)})), kProbe);
  traits.arguments_as_text = wants_arguments_as_text(render);
  for (const std::string& source : sources) {
    traits.developer = traits.developer || contains(source, "developer");
    traits.thinking = traits.thinking || contains(source, "message.thinking");
  }
  return traits;
}

}  // namespace colonnade::coordinator
