#include "engine/text/jinja/access.h"

#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/number_text.h"

namespace colonnade::engine::jinja {
namespace {

std::string name_in_quotes(const Value& key) {
  if (key.is_string()) return text("'", key.as_text().bytes(), "'");
  return key.is_integer() ? std::to_string(key.as_integer()) : type_name(key);
}

Value missing(const Value& object, const Value& key) {
  if (key.is_string()) return Value::undefined(text("'", type_name(object), " object' has no attribute ", name_in_quotes(key)));
  return Value::undefined(text(type_name(object), " object has no element ", name_in_quotes(key)));
}

Value unsafe(const Value& object, std::string_view name) {
  return Value::undefined(text("access to attribute '", name, "' of '", type_name(object), "' object is unsafe."));
}

/// object[key] without attributes.
std::optional<Value> find_item(Context& context, const Value& object, const Value& key) {
  switch (object.kind()) {
    case Kind::kDict: {
      if (!is_hashable(key)) return std::nullopt;
      const Value* value = key.is_string() ? find_key(object.as_dict(), key.as_text().view()) : find_key(context, object.as_dict(), key);
      return value != nullptr ? std::optional(*value) : std::nullopt;
    }
    case Kind::kSequence: {
      const Sequence& sequence = *object.as_sequence();
      if (!key.is_integer() || sequence.type == Sequence::Type::kDictKeys || sequence.type == Sequence::Type::kDictValues ||
          sequence.type == Sequence::Type::kDictItems)
        return std::nullopt;
      const auto n = static_cast<std::int64_t>(sequence.items.size());
      const std::int64_t i = key.as_integer();
      if (i >= n || i < -n) return std::nullopt;
      return sequence.items[static_cast<std::size_t>(i < 0 ? i + n : i)];
    }
    case Kind::kString: {
      if (!key.is_integer()) return std::nullopt;
      const MarkedText& letters = object.as_text();
      context.budget.step_bytes(letters.size());
      const auto n = static_cast<std::int64_t>(count_letters(letters.view()));
      const std::int64_t i = key.as_integer();
      if (i >= n || i < -n) return std::nullopt;
      const std::size_t at = letter_offset(letters.view(), static_cast<std::size_t>(i < 0 ? i + n : i));
      return context.string(letters.part(at, at + letter_at(letters.view(), at).size), object.is_markup());
    }
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<Value> find_attribute(Context& context, const Value& object, std::string_view name) {
  if (object.is(Kind::kObject)) return object.as_object()->attribute(context, name);
  if (object.is(Kind::kSequence) && object.as_sequence()->type == Sequence::Type::kGroup) {
    if (name == "grouper") return object.as_sequence()->items[0];
    if (name == "list") return object.as_sequence()->items[1];
  }
  switch (method_state(object, name)) {
    case MethodState::kNone: return std::nullopt;
    case MethodState::kUnsafe: return unsafe(object, name);
    case MethodState::kCallable: return bind_method(context, object, name);
  }
  return std::nullopt;
}

Value get_attribute(Context& context, const Value& object, const Value& name) {
  context.budget.step();
  const std::string_view spelling = name.as_text().view();
  if (object.is_undefined()) fail(object.as_undefined().message);
  if (spelling.starts_with("__")) return unsafe(object, spelling);
  if (auto found = find_attribute(context, object, spelling)) return *std::move(found);
  if (auto found = find_item(context, object, name)) return *std::move(found);
  return missing(object, name);
}

Value get_item(Context& context, const Value& object, const Value& key) {
  context.budget.step();
  if (object.is_undefined()) fail(object.as_undefined().message);
  if (auto found = find_item(context, object, key)) return *std::move(found);
  if (key.is_string()) {
    if (auto found = find_attribute(context, object, key.as_text().view())) return *std::move(found);
  }
  return missing(object, key);
}

Value get_slice(Context& context, const Value& object, const Value* start, const Value* stop, const Value* step) {
  const auto bound = [](const Value* value) -> std::optional<std::int64_t> {
    if (value == nullptr || value->is_none()) return std::nullopt;
    if (value->is_undefined()) fail(value->as_undefined().message);
    if (!value->is_integer()) fail(text("slice indices must be integers or None, found ", type_name(*value)));
    return value->as_integer();
  };
  if (object.is_undefined()) fail(object.as_undefined().message);
  const std::int64_t by = bound(step).value_or(1);
  if (by == 0) fail("slice step cannot be zero");
  const bool sliceable = object.is_string() || (object.is(Kind::kSequence) && find_item(context, object, Value::integer(0))) ||
                         (object.is(Kind::kSequence) && object.as_sequence()->items.empty());
  if (!sliceable) fail(text("'", type_name(object), "' object cannot be sliced"));
  if (object.is_string()) context.budget.step_bytes(object.as_text().size());
  const std::int64_t n = length_of(object);
  const auto clamped = [&](std::optional<std::int64_t> i, std::int64_t otherwise) {
    if (!i) return otherwise;
    const std::int64_t from_begin = *i < 0 ? *i + n : *i;
    return by > 0 ? std::clamp<std::int64_t>(from_begin, 0, n) : std::clamp<std::int64_t>(from_begin, -1, n - 1);
  };
  const std::int64_t from = clamped(bound(start), by > 0 ? 0 : n - 1);
  const std::int64_t to = clamped(bound(stop), by > 0 ? n : -1);
  const bool forward = by > 0;
  if (object.is_string()) {
    const MarkedText& letters = object.as_text();
    if (by == 1) {
      if (from >= to) return context.string(MarkedText(), object.is_markup());
      const std::size_t begin = letter_offset(letters.view(), static_cast<std::size_t>(from));
      const std::size_t size = letter_offset(letters.view().substr(begin), static_cast<std::size_t>(to - from));
      return context.string(letters.part(begin, begin + size), object.is_markup());
    }
    std::vector<std::size_t> offsets;
    context.budget.step(static_cast<std::uint64_t>(n));
    for (std::size_t at = 0; at < letters.size(); at += letter_at(letters.view(), at).size) offsets.push_back(at);
    offsets.push_back(letters.size());
    TextBuilder out(context);
    for (std::int64_t i = from; forward ? i < to : i > to;) {
      out.append(letters, offsets[static_cast<std::size_t>(i)], offsets[static_cast<std::size_t>(i) + 1]);
      if (__builtin_add_overflow(i, by, &i)) break;
    }
    return out.value(object.is_markup());
  }
  const Sequence& sequence = *object.as_sequence();
  Values items;
  for (std::int64_t i = from; forward ? i < to : i > to;) {
    items.push_back(sequence.items[static_cast<std::size_t>(i)]);
    if (__builtin_add_overflow(i, by, &i)) break;
  }
  if (sequence.type == Sequence::Type::kRange) {
    const auto at = [&](std::int64_t i) { return sequence.range[0] + i * sequence.range[2]; };
    // The numbers fit: range() bounds how many there are and where they lie.
    return context.range(std::move(items), at(from), at(to), sequence.range[2] * std::clamp<std::int64_t>(by, -n - 1, n + 1));
  }
  return context.list(std::move(items), sequence.type == Sequence::Type::kGroup ? Sequence::Type::kTuple : sequence.type);
}

Value get_path(Context& context, Value object, const Value& path) {
  if (!path.is_string()) return get_item(context, object, path);
  const std::string_view all = path.as_text().view();
  for (std::size_t begin = 0; begin <= all.size();) {
    const std::size_t end = std::min(all.find('.', begin), all.size());
    const std::string_view part = all.substr(begin, end - begin);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    const auto index = number ? parse_integer(part, 10) : std::nullopt;
    object = get_item(context, object, index ? Value::integer(*index) : context.string(part));
    begin = end + 1;
  }
  return object;
}

}  // namespace colonnade::engine::jinja
