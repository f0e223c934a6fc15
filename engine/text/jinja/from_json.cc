#include "engine/text/jinja/from_json.h"

#include <algorithm>
#include <limits>

#include "engine/base/format_text.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/utf8.h"

namespace colonnade::engine::jinja {
namespace {

Value text_value(Context& context, const std::string& bytes, bool from_input) {
  return context.string(MarkedText(is_ascii(bytes) ? bytes : replace_invalid_utf8(bytes), from_input));
}

bool is_plain_role(const std::string& role) {
  return std::all_of(role.begin(), role.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

Value from_json(Context& context, const OrderedJson& json, bool from_input) {
  const Level level(context.budget);
  context.budget.step();
  switch (json.type()) {
    case OrderedJson::value_t::boolean: return Value::boolean(json.get<bool>());
    case OrderedJson::value_t::number_integer: return Value::integer(json.get<std::int64_t>());
    case OrderedJson::value_t::number_unsigned: {
      const auto number = json.get<std::uint64_t>();
      // A number that is printed as another would go unnoticed.
      if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        fail(text("the integer ", number, " of the input does not fit in 64 bits"));
      return Value::integer(static_cast<std::int64_t>(number));
    }
    case OrderedJson::value_t::number_float: return Value::real(json.get<double>());
    case OrderedJson::value_t::string: return text_value(context, json.get_ref<const std::string&>(), from_input);
    case OrderedJson::value_t::array: {
      Values items;
      items.reserve(json.size());
      for (const OrderedJson& one : json) items.push_back(from_json(context, one, from_input));
      return context.list(std::move(items));
    }
    case OrderedJson::value_t::object: {
      std::vector<Dict::Entry> entries;
      entries.reserve(json.size());
      for (const auto& [key, value] : json.items())
        entries.emplace_back(text_value(context, key, from_input), from_json(context, value, from_input));
      return context.dict(std::move(entries));
    }
    default: return Value();
  }
}

Value messages_from_json(Context& context, const OrderedJson& messages) {
  if (!messages.is_array()) return from_json(context, messages, true);
  Values items;
  for (const OrderedJson& message : messages) {
    if (!message.is_object()) {
      items.push_back(from_json(context, message, true));
      continue;
    }
    std::vector<Dict::Entry> entries;
    for (const auto& [key, value] : message.items()) {
      const bool plain_role = key == "role" && value.is_string() && is_plain_role(value.get_ref<const std::string&>());
      entries.emplace_back(text_value(context, key, true), from_json(context, value, !plain_role));
    }
    items.push_back(context.dict(std::move(entries)));
  }
  return context.list(std::move(items));
}

}  // namespace colonnade::engine::jinja
