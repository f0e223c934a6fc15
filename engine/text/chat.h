// Conversations for models without a chat template (chat_template.h).
#pragma once

#include <span>
#include <string>

namespace colonnade::engine {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

/// A model without a template continues text, so the conversation becomes one text: the contents of all messages in
/// order, each on a line of its own, without role names. One user message is therefore its own text, and what the
/// model answers is how that text goes on.
std::string plain_chat_prompt(std::span<const ChatMessage> messages);

}  // namespace colonnade::engine
