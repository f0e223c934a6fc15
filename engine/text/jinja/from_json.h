// JSON to values.
#pragma once

#include "engine/base/json.h"
#include "engine/text/jinja/context.h"

namespace colonnade::engine::jinja {

/// `from_input` marks all texts, keys as well. What is no UTF-8 becomes U+FFFD.
Value from_json(Context& context, const OrderedJson& json, bool from_input);
/// A list of messages: as from_json with marks, but roles of letters, digits, '_' and '-' are not marked.
Value messages_from_json(Context& context, const OrderedJson& messages);

}  // namespace colonnade::engine::jinja
