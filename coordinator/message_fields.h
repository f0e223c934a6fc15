// "messages" of a chat request: checked, and put into the form that the model's template expects.
#pragma once

#include "coordinator/chat_traits.h"
#include "coordinator/request_fields.h"
#include "engine/base/json.h"

namespace colonnade::coordinator {

/// A list of objects; what nobody here knows in them stays for the template. Mistakes go to `fields`.
OrderedJson read_chat_messages(RequestFields& fields, const OrderedJson& messages, const ChatTraits& traits);

}  // namespace colonnade::coordinator
