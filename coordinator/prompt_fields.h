// The prompts of a request: "prompt" of /v1/completions in its four forms, and "messages" of /v1/chat/completions.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/api_backend.h"
#include "coordinator/request_fields.h"

namespace colonnade::coordinator {

inline constexpr int kMaxPrompts = 128;  // of one request

using Prompts = std::vector<std::vector<std::int32_t>>;

/// A string, a list of strings, a list of token ids, or a list of such lists. Mistakes go to `fields`.
Prompts read_prompts(RequestFields& fields, const ApiBackend& backend);

/// One prompt; a model without a chat template gets engine/text/chat.h's plain form.
Prompts read_messages(RequestFields& fields, const ApiBackend& backend);

}  // namespace colonnade::coordinator
