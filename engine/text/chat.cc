#include "engine/text/chat.h"

namespace colonnade::engine {

std::string plain_chat_prompt(std::span<const ChatMessage> messages) {
  std::string prompt;
  for (const ChatMessage& message : messages) {
    if (!prompt.empty()) prompt += '\n';
    prompt += message.content;
  }
  return prompt;
}

}  // namespace colonnade::engine
