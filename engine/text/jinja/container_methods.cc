#include <algorithm>
#include <cmath>

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/print.h"

namespace colonnade::engine::jinja {
namespace {

Value keys_of(Context& context, const Dict& dict) {
  Values items;
  for (const Dict::Entry& entry : dict.entries) items.push_back(entry.first);
  return context.list(std::move(items), Sequence::Type::kDictKeys);
}

Value values_of(Context& context, const Dict& dict) {
  Values items;
  for (const Dict::Entry& entry : dict.entries) items.push_back(entry.second);
  return context.list(std::move(items), Sequence::Type::kDictValues);
}

Value entries_of(Context& context, const Dict& dict) {
  Values items;
  for (const Dict::Entry& entry : dict.entries) items.push_back(context.tuple({entry.first, entry.second}));
  return context.list(std::move(items), Sequence::Type::kDictItems);
}

Value count_of(Context& context, const Value& self, const Bound& arguments) {
  const auto& items = self.as_sequence()->items;
  const auto n = std::count_if(items.begin(), items.end(), [&](const Value& one) { return equals(context, one, arguments.at(0)); });
  return Value::integer(n);
}

Value index_of(Context& context, const Value& self, const Bound& arguments) {
  const auto& items = self.as_sequence()->items;
  const auto n = static_cast<std::int64_t>(items.size());
  const auto clamped = [&](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + n : i, 0, n); };
  const std::int64_t end = clamped(arguments.integer(2, n));
  for (std::int64_t i = clamped(arguments.integer(1, 0)); i < end; ++i)
    if (equals(context, items[static_cast<std::size_t>(i)], arguments.at(0))) return Value::integer(i);
  TextBuilder shown(context);
  append_repr(shown, context, arguments.at(0));
  fail(shown.take().bytes() + " is not in the list");
}

}  // namespace

std::span<const Method> dict_methods() {
  static const Method kMethods[] = {
      {{"get", "key default", 1},
       [](Context& context, const Value& self, const Bound& arguments) {
         const Value* value = find_key(context, self.as_dict(), arguments.at(0));
         if (value != nullptr) return *value;
         return arguments.find(1) != nullptr ? *arguments.find(1) : Value();
       }},
      {{"items", "", 0}, [](Context& context, const Value& self, const Bound&) { return entries_of(context, self.as_dict()); }},
      {{"keys", "", 0}, [](Context& context, const Value& self, const Bound&) { return keys_of(context, self.as_dict()); }},
      {{"values", "", 0}, [](Context& context, const Value& self, const Bound&) { return values_of(context, self.as_dict()); }},
      {{"copy", "", 0}, [](Context&, const Value& self, const Bound&) { return self; }},
  };
  return kMethods;
}

std::span<const Method> sequence_methods() {
  static const Method kMethods[] = {
      {{"count", "value", 1}, count_of},
      {{"index", "value start stop", 1}, index_of},
      {{"copy", "", 0}, [](Context&, const Value& self, const Bound&) { return self; }},
  };
  return kMethods;
}

std::span<const Method> float_methods() {
  static const Method kMethods[] = {
      {{"is_integer", "", 0},
       [](Context&, const Value& self, const Bound&) {
         return Value::boolean(std::isfinite(self.as_real()) && self.as_real() == std::floor(self.as_real()));
       }},
  };
  return kMethods;
}

}  // namespace colonnade::engine::jinja
