// Values as text: Python's str() and repr(), and json.dumps.
#pragma once

#include <optional>
#include <string_view>

#include "engine/text/jinja/context.h"
#include "engine/text/jinja/value.h"

namespace colonnade::engine::jinja {

void append_str(TextBuilder& out, Context& context, const Value& value);
void append_repr(TextBuilder& out, Context& context, const Value& value);
/// str(value) without a copy of what is a text already.
MarkedText str_of(Context& context, const Value& value);
Value to_string(Context& context, const Value& value);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<MarkedText> indent;  // for each level; none: all on one line
  MarkedText item_separator{", "};
  MarkedText key_separator{": "};
};
void append_json(TextBuilder& out, Context& context, const Value& value, const JsonStyle& style);

}  // namespace colonnade::engine::jinja
