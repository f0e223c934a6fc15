#include "coordinator/message_fields.h"

#include <array>
#include <map>

#include "engine/base/format_text.h"

namespace colonnade::coordinator {
namespace {

std::string shown(const OrderedJson& value) {
  std::string text = value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  if (text.size() > 60) text = colonnade::text("a ", value.type_name(), " of ", text.size(), " bytes");
  return text;
}

/// The member, or null.
const OrderedJson& member(const OrderedJson& object, const char* name) {
  static const OrderedJson kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

class Reader {
 public:
  Reader(RequestFields& fields, const ChatTraits& traits) : fields_(fields), traits_(traits) {}

  OrderedJson message(const OrderedJson& message, const std::string& place) {
    if (!message.is_object()) return wrong(place, "an object", message);
    const OrderedJson& role = member(message, "role");
    static constexpr std::array kRoles = {"system", "developer", "user", "assistant", "tool"};
    if (std::none_of(kRoles.begin(), kRoles.end(), [&](const char* known) { return role == known; })) {
      return wrong(place + ".role", "\"system\", \"developer\", \"user\", \"assistant\" or \"tool\"", role);
    }
    OrderedJson out = message;
    out["role"] = role == "developer" && !traits_.developer ? "system" : role.get<std::string>();
    out["content"] = content(member(message, "content"), place + ".content", role == "assistant");
    for (const char* name : {"name", "tool_call_id", "reasoning_content"}) {
      const OrderedJson& value = member(message, name);
      if (value.is_null()) out.erase(name);
      else if (!value.is_string()) return wrong(text(place, ".", name), "a string", value);
    }
    out.erase("tool_calls");
    if (role == "assistant") assistant(message, place, out);
    if (role == "tool" && !out.contains("name")) {
      // Some templates name the function beside its result; clients send the call's id only.
      const auto found = names_.find(out.value("tool_call_id", ""));
      if (found != names_.end()) out["name"] = found->second;
    }
    return out;
  }

 private:
  OrderedJson wrong(const std::string& place, const char* expected, const OrderedJson& found) {
    fields_.fail("messages", text(place, " must be ", expected, ", found ", shown(found)));
    return nullptr;
  }

  OrderedJson content(const OrderedJson& value, const std::string& place, bool assistant) {
    if (value.is_null()) return "";
    if (value.is_string()) {
      if (!traits_.only_parts) return value;
      return OrderedJson::array({{{"type", "text"}, {"text", value}}});
    }
    if (!value.is_array()) return wrong(place, "a string or a list of parts", value);
    OrderedJson parts = OrderedJson::array();
    std::string joined;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const std::string here = text(place, "[", i, "]");
      if (!value[i].is_object()) return wrong(here, "an object", value[i]);
      const OrderedJson& type = member(value[i], "type");
      const bool refusal = assistant && type == "refusal";
      if (type != "text" && !refusal) return wrong(here + ".type", "\"text\" (this server takes no other parts)", type);
      const OrderedJson& words = member(value[i], refusal ? "refusal" : "text");
      if (!words.is_string()) return wrong(here + (refusal ? ".refusal" : ".text"), "a string", words);
      parts.push_back({{"type", "text"}, {"text", words}});
      if (i > 0) joined += '\n';
      joined += words.get_ref<const std::string&>();
    }
    if (traits_.parts) return parts;
    return joined;
  }

  void assistant(const OrderedJson& message, const std::string& place, OrderedJson& out) {
    const OrderedJson& calls = member(message, "tool_calls");
    if (!calls.is_null() && !calls.is_array()) {
      wrong(place + ".tool_calls", "a list", calls);
    } else if (!calls.empty()) {
      OrderedJson& list = out["tool_calls"] = OrderedJson::array();
      for (std::size_t i = 0; i < calls.size(); ++i) list.push_back(call(calls[i], text(place, ".tool_calls[", i, "]")));
    }
    // gpt-oss refuses both words and reasoning beside a call.
    const bool room = !out.contains("tool_calls") || out["content"] == "";
    if (traits_.thinking && room && out.contains("reasoning_content") && !out.contains("thinking")) out["thinking"] = out["reasoning_content"];
  }

  OrderedJson call(const OrderedJson& call, const std::string& place) {
    if (!call.is_object()) return wrong(place, "an object", call);
    OrderedJson out = call;
    if (const OrderedJson& type = member(call, "type"); !type.is_null() && type != "function") return wrong(place + ".type", "\"function\"", type);
    out["type"] = "function";
    const OrderedJson& function = member(call, "function");
    if (!function.is_object()) return wrong(place + ".function", "an object", function);
    const OrderedJson& name = member(function, "name");
    if (!name.is_string() || name == "") return wrong(place + ".function.name", "a name", name);
    const OrderedJson& id = member(call, "id");
    if (id.is_string()) names_[id.get<std::string>()] = name.get<std::string>();
    else if (!id.is_null()) return wrong(place + ".id", "a string", id);
    out["function"]["arguments"] = arguments(member(function, "arguments"), place + ".function.arguments");
    return out;
  }

  /// Clients send a string, most templates want an object. What a model once wrote and is no JSON stays a string.
  OrderedJson arguments(const OrderedJson& value, const std::string& place) {
    if (value.is_object()) return traits_.arguments_as_text ? OrderedJson(value.dump()) : value;
    if (value.is_null() || value == "") return traits_.arguments_as_text ? OrderedJson("{}") : OrderedJson::object();
    if (!value.is_string()) return wrong(place, "a string with a JSON object", value);
    if (traits_.arguments_as_text) return value;
    auto parsed = parse_ordered_json(value.get_ref<const std::string&>(), place);
    return parsed.ok() && parsed->is_object() ? *std::move(parsed) : value;
  }

  RequestFields& fields_;
  const ChatTraits& traits_;
  std::map<std::string, std::string> names_;  // of the functions, by the ids of their calls
};

}  // namespace

OrderedJson read_chat_messages(RequestFields& fields, const OrderedJson& messages, const ChatTraits& traits) {
  OrderedJson list = OrderedJson::array();
  if (!messages.is_array() || messages.empty()) {
    fields.fail("messages", text("messages must be a list of at least one message, found ", shown(messages)));
    return list;
  }
  Reader reader(fields, traits);
  for (std::size_t i = 0; i < messages.size() && fields.ok(); ++i) {
    list.push_back(reader.message(messages[i], text("messages[", i, "]")));
  }
  return list;
}

}  // namespace colonnade::coordinator
