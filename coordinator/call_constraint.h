// "tool_choice": "required" or a function: the answer is held to the grammar of calls.
#pragma once

#include "coordinator/api_request.h"
#include "coordinator/chat_request.h"

namespace colonnade::coordinator {

/// Sets the constraint of request.generation, whose prompt and output are there. Mistakes, also forms and schemas that cannot
/// be enforced, go to `fields`.
void constrain_calls(RequestFields& fields, const ApiBackend& backend, const ChatRequest& chat, ApiRequest& request);

}  // namespace colonnade::coordinator
