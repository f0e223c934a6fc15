// continue_final_message: a rendered conversation that ends within its last message.
#pragma once

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/chat_template.h"

namespace colonnade::engine {

/// Cuts `chat` behind the content of the last message, as transformers does: what the template puts after it goes away.
/// kInvalidArgument when the last message has no text, or when the template left it out.
Status end_within_final_message(const OrderedJson& messages, RenderedChat& chat);

}  // namespace colonnade::engine
