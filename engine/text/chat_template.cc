#include "engine/text/chat_template.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "engine/base/format_text.h"
#include "engine/text/chat_continuation.h"
#include "engine/text/jinja/from_json.h"
#include "engine/text/jinja/template.h"

namespace colonnade::engine {
namespace {

constexpr std::array<std::string_view, 4> kReserved = {"messages", "tools", "documents", "add_generation_prompt"};

Error wrong_shape(const char* field, const char* expected, const OrderedJson& found) {
  return {ErrorCode::kInvalidArgument, text(field, " must be ", expected, ", found ", found.type_name())};
}

Status check_list(const char* field, const OrderedJson& list, bool may_be_null) {
  if (list.is_null() && may_be_null) return {};
  const char* expected = may_be_null ? "null or a list of objects" : "a list of objects";
  if (!list.is_array()) return wrong_shape(field, expected, list);
  for (const OrderedJson& one : list)
    if (!one.is_object()) return wrong_shape(field, expected, one);
  return {};
}

Status check_input(const ChatInput& input) {
  COLONNADE_TRY(check_list("messages", input.messages, false));
  COLONNADE_TRY(check_list("tools", input.tools, true));
  COLONNADE_TRY(check_list("documents", input.documents, true));
  if (!input.variables.is_object() && !input.variables.is_null()) return wrong_shape("chat_template_kwargs", "an object", input.variables);
  for (const std::string_view name : kReserved) {
    if (input.variables.is_object() && input.variables.contains(name))
      return Error{ErrorCode::kInvalidArgument, text("chat_template_kwargs must not have ", name, ": it has a field of its own")};
  }
  if (input.continue_final_message && input.add_generation_prompt) {
    return Error{ErrorCode::kInvalidArgument,
                 "continue_final_message and add_generation_prompt exclude each other: found both"};
  }
  return {};
}

}  // namespace

struct ChatTemplates::State {
  struct Named {
    std::string name;
    std::string source;
    jinja::Template compiled;
  };

  const Named* find(const std::string& name) const {
    const auto found = std::find_if(templates.begin(), templates.end(), [&](const Named& one) { return one.name == name; });
    return found != templates.end() ? &*found : nullptr;
  }
  /// The rule of transformers.
  const Named* choose(const std::string& name, bool with_tools) const {
    if (!name.empty()) return find(name);
    const Named* for_tools = with_tools ? find("tool_use") : nullptr;
    return for_tools != nullptr ? for_tools : find("default");
  }

  std::vector<Named> templates;
  std::map<std::string, std::string> special_tokens;
  ChatTemplateLimits limits;
};

ChatTemplates::ChatTemplates() : state_(std::make_unique<State>()) {}
ChatTemplates::~ChatTemplates() = default;
ChatTemplates::ChatTemplates(ChatTemplates&&) noexcept = default;
ChatTemplates& ChatTemplates::operator=(ChatTemplates&&) noexcept = default;

Status ChatTemplates::add(const std::string& name, std::string_view source, const std::string& shown) {
  COLONNADE_ASSIGN(jinja::Template compiled, jinja::Template::compile(source, shown));
  state_->templates.push_back({name, std::string(source), std::move(compiled)});
  return {};
}

void ChatTemplates::set_limits(const ChatTemplateLimits& limits) { state_->limits = limits; }

Result<ChatTemplates> ChatTemplates::from_text(std::string_view text, const std::string& name, ChatTemplateLimits limits) {
  ChatTemplates all;
  all.set_limits(limits);
  COLONNADE_TRY(all.add("default", text, name));
  return all;
}

bool ChatTemplates::empty() const { return state_->templates.empty(); }

std::vector<std::string> ChatTemplates::names() const {
  std::vector<std::string> list;
  for (const State::Named& one : state_->templates) list.push_back(one.name);
  return list;
}

const std::string* ChatTemplates::source(const std::string& name, bool with_tools) const {
  const State::Named* chosen = state_->choose(name, with_tools);
  return chosen != nullptr ? &chosen->source : nullptr;
}

const std::map<std::string, std::string>& ChatTemplates::special_tokens() const { return state_->special_tokens; }

void ChatTemplates::set_special_token(const std::string& name, const std::string& text) { state_->special_tokens[name] = text; }

Result<RenderedChat> ChatTemplates::render(const ChatInput& input, const ChatClock& clock) const {
  COLONNADE_TRY(check_input(input));
  // As in transformers, an empty list of tools is one.
  const State::Named* chosen = state_->choose(input.template_name, !input.tools.is_null());
  if (chosen == nullptr) {
    std::string known;
    for (const State::Named& one : state_->templates) known += text(known.empty() ? "" : ", ", one.name);
    return Error{ErrorCode::kNotFound, text("expected a chat template named ", input.template_name.empty() ? "default" : input.template_name,
                                            ", found ", known.empty() ? "none" : known)};
  }
  const jinja::VariableSource variables = [&](jinja::Context& context, const std::string& name) -> std::optional<jinja::Value> {
    if (name == "messages") return jinja::messages_from_json(context, input.messages);
    if (name == "tools") return jinja::from_json(context, input.tools, true);
    if (name == "documents") return jinja::from_json(context, input.documents, true);
    if (name == "add_generation_prompt") return jinja::Value::boolean(input.add_generation_prompt);
    if (input.variables.is_object()) {
      if (const auto found = input.variables.find(name); found != input.variables.end()) return jinja::from_json(context, *found, true);
    }
    if (const auto token = state_->special_tokens.find(name); token != state_->special_tokens.end()) return context.string(token->second);
    return std::nullopt;
  };
  COLONNADE_ASSIGN(jinja::MarkedText rendered, chosen->compiled.render(variables, state_->limits, clock));
  RenderedChat chat{std::string(), std::move(rendered).take_marks()};
  chat.text = std::move(rendered).take_bytes();
  if (input.continue_final_message) COLONNADE_TRY(end_within_final_message(input.messages, chat));
  return chat;
}

Result<RenderedChat> ChatTemplates::render_variables(const OrderedJson& variables, const ChatClock& clock) const {
  const State::Named* chosen = state_->choose("", false);
  if (chosen == nullptr) return Error{ErrorCode::kNotFound, "expected a chat template, found none"};
  const jinja::VariableSource source = [&](jinja::Context& context, const std::string& name) -> std::optional<jinja::Value> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return name == "messages" ? jinja::messages_from_json(context, *found) : jinja::from_json(context, *found, true);
  };
  COLONNADE_ASSIGN(jinja::MarkedText rendered, chosen->compiled.render(source, state_->limits, clock));
  RenderedChat chat{std::string(), std::move(rendered).take_marks()};
  chat.text = std::move(rendered).take_bytes();
  return chat;
}

std::tm local_time_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  ::localtime_r(&now, &local);
  return local;
}

}  // namespace colonnade::engine
