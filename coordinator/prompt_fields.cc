#include "coordinator/prompt_fields.h"

#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/chat.h"

namespace colonnade::coordinator {
namespace {

constexpr const char* kPromptForms = "a string, a list of strings, a list of token ids, or a list of such lists";

void append_tokens(RequestFields& fields, const Json& list, int vocab_size, Prompts& prompts) {
  std::vector<std::int32_t> ids;
  ids.reserve(list.size());
  for (const Json& id : list) {
    const std::optional<std::int32_t> token = token_of(id, vocab_size);
    if (!token) return fields.wrong("prompt", text("made of token ids from 0 to ", vocab_size - 1), id);
    ids.push_back(*token);
  }
  prompts.push_back(std::move(ids));
}

/// The text of a message: a string, or a list of parts of type text.
void append_content(RequestFields& fields, const Json& content, std::string& out) {
  if (content.is_null()) return;
  if (content.is_string()) {
    out += content.get_ref<const std::string&>();
    return;
  }
  if (!content.is_array()) return fields.wrong("messages", "a list with content that is a string or a list of parts", content);
  for (const Json& part : content) {
    const Json type = part.is_object() ? part.value("type", Json()) : Json();
    const Json words = part.is_object() ? part.value("text", Json()) : Json();
    if (type != "text" || !words.is_string()) {
      return fields.fail("messages", text("messages must have content parts of type \"text\" with a string, found ",
                                          type == "text" ? dump_json(words) : dump_json(type)));
    }
    out += words.get_ref<const std::string&>();
  }
}

}  // namespace

Prompts read_prompts(RequestFields& fields, const ApiBackend& backend) {
  Prompts prompts;
  const Json* value = fields.find("prompt");
  if (value == nullptr) {
    fields.fail("prompt", text("prompt is missing: expected ", kPromptForms));
    return prompts;
  }
  const int vocab_size = backend.tokenizer->vocab_size();
  const auto append_text = [&](const Json& one) {
    prompts.push_back(backend.tokenizer->encode(one.get_ref<const std::string&>(), engine::SpecialTokens::kRecognise, true));
  };
  if (value->is_string()) {
    append_text(*value);
  } else if (value->is_array() && !value->empty() && value->front().is_number()) {
    append_tokens(fields, *value, vocab_size, prompts);
  } else if (value->is_array() && !value->empty() && value->size() <= static_cast<std::size_t>(kMaxPrompts)) {
    for (const Json& one : *value) {
      if (one.is_string()) append_text(one);
      else if (one.is_array()) append_tokens(fields, one, vocab_size, prompts);
      else fields.wrong("prompt", kPromptForms, one);
    }
  } else {
    fields.wrong("prompt", text(kPromptForms, ", at most ", kMaxPrompts, " of them"), *value);
  }
  if (std::any_of(prompts.begin(), prompts.end(), [](const auto& ids) { return ids.empty(); })) {
    fields.fail("prompt", "prompt must have at least one token, found none");
  }
  return prompts;
}

Prompts read_messages(RequestFields& fields, const ApiBackend& backend) {
  const Json* list = fields.find("messages");
  if (list == nullptr || !list->is_array() || list->empty()) {
    fields.wrong("messages", "a list of at least one message", list == nullptr ? Json() : *list);
    return {};
  }
  std::vector<engine::ChatMessage> messages;
  for (const Json& one : *list) {
    const Json role = one.is_object() ? one.value("role", Json()) : Json();
    engine::ChatMessage& message = messages.emplace_back();
    if (role == "developer") message.role = "system";
    else if (role == "system" || role == "user" || role == "assistant") message.role = role.get<std::string>();
    else {
      fields.fail("messages", text("messages must have the role \"system\", \"developer\", \"user\" or \"assistant\", found ",
                                   dump_json(role)));
    }
    if (one.is_object()) append_content(fields, one.value("content", Json()), message.content);
  }
  if (!fields.ok()) return {};
  std::vector<std::int32_t> ids =
      backend.tokenizer->encode(engine::plain_chat_prompt(messages), engine::SpecialTokens::kPlain, true);
  if (ids.empty()) fields.fail("messages", "messages must have at least one token of content, found none");
  return {std::move(ids)};
}

}  // namespace colonnade::coordinator
