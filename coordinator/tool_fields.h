// "tools" and "tool_choice" of a chat request.
#pragma once

#include "coordinator/chat_request.h"

namespace colonnade::coordinator {

/// Fills tools, choice, function and parallel_calls, and the template's list of tools. Mistakes go to `fields`.
void read_tools(RequestFields& fields, const OrderedJson& body, const ApiBackend& backend, ChatRequest& chat);

}  // namespace colonnade::coordinator
