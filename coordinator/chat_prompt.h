// The prompt of a chat request, and from where on its answer is read.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "coordinator/chat_request.h"
#include "coordinator/chat_text.h"

namespace colonnade::coordinator {

struct ChatPrompt {
  std::vector<std::int32_t> tokens;
  std::optional<ChatOutput> output;  // none: the answer is its text
};

/// kInvalidArgument: the conversation is none that the template takes (in its words), or gives no token.
Result<ChatPrompt> make_chat_prompt(const ApiBackend& backend, const ChatRequest& chat);

}  // namespace colonnade::coordinator
