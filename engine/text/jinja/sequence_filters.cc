// Filters of lists and other sequences, and those of any value.
#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/jinja/access.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/print.h"

namespace colonnade::engine::jinja {
namespace {

Value length(Context& context, const Value& subject, const Bound&) {
  if (subject.is_string()) context.budget.step_bytes(subject.as_text().size());
  if (subject.is(Kind::kObject)) {
    if (const auto n = subject.as_object()->type_name() == "LoopContext" ? subject.as_object()->attribute(context, "length") : std::nullopt)
      return *n;
  }
  return Value::integer(length_of(subject));
}

Value first(Context& context, const Value& subject, const Bound&) {
  if (subject.is(Kind::kIterator)) {
    Iterator& iterator = subject.as_iterator();
    if (iterator.next < iterator.items->items.size()) return iterator.items->items[iterator.next++];
    return Value::undefined("No first item, sequence was empty.");
  }
  if (subject.is_string() && !subject.as_text().empty()) return get_item(context, subject, Value::integer(0));
  const auto items = items_of(context, subject);
  return items->items.empty() ? Value::undefined("No first item, sequence was empty.") : items->items.front();
}

Value last(Context& context, const Value& subject, const Bound&) {
  if (subject.is(Kind::kIterator) || !is_iterable(subject)) fail(text("'", type_name(subject), "' object is not reversible"));
  if (subject.is_string() && !subject.as_text().empty()) return get_item(context, subject, Value::integer(-1));
  const auto items = items_of(context, subject);
  return items->items.empty() ? Value::undefined("No last item, sequence was empty.") : items->items.back();
}

Value list(Context& context, const Value& subject, const Bound&) { return context.list(items_of(context, subject)->items); }

Value items(Context& context, const Value& subject, const Bound&) {
  if (subject.is_undefined()) return context.iterator({});
  if (!subject.is(Kind::kDict)) fail("Can only get item pairs from a mapping.");
  Values pairs;
  for (const Dict::Entry& entry : subject.as_dict().entries) pairs.push_back(context.tuple({entry.first, entry.second}));
  return context.iterator(std::move(pairs));
}

Value reverse(Context& context, const Value& subject, const Bound&) {
  if (subject.is_string()) {
    TextBuilder out(context);
    const MarkedText& all = subject.as_text();
    for (std::size_t end = all.size(); end > 0;) {
      const std::size_t begin = letter_before(all.view(), end);
      out.append(all, begin, end);
      end = begin;
    }
    return out.value(subject.is_markup());
  }
  Values all = items_of(context, subject)->items;
  std::reverse(all.begin(), all.end());
  if (subject.is(Kind::kIterator)) return context.list(std::move(all));
  return context.iterator(std::move(all), subject.is(Kind::kDict) ? "dict_reversekeyiterator" : "list_reverseiterator");
}

Value join(Context& context, const Value& subject, const Bound& arguments) {
  const auto all = items_of(context, subject);
  const MarkedText between = arguments.find(0) != nullptr ? str_of(context, *arguments.find(0)) : MarkedText();
  const Value* attribute = arguments.find_some(1);
  TextBuilder out(context);
  for (std::size_t i = 0; i < all->items.size(); ++i) {
    if (i > 0) out.append(between);
    append_str(out, context, attribute != nullptr ? get_path(context, all->items[i], *attribute) : all->items[i]);
  }
  return out.value();
}

Value batch(Context& context, const Value& subject, const Bound& arguments) {
  const std::int64_t n = arguments.integer(0, 0);
  const Value* fill = arguments.find_some(1);
  Values batches, one;
  for (const Value& item : items_of(context, subject)) {
    if (static_cast<std::int64_t>(one.size()) == n) batches.push_back(context.list(std::exchange(one, {})));
    one.push_back(item);
  }
  if (!one.empty()) {
    if (fill != nullptr && n > static_cast<std::int64_t>(one.size())) {
      const auto missing = static_cast<std::uint64_t>(n) - one.size();
      context.budget.step(missing);
      one.insert(one.end(), missing, *fill);
    }
    batches.push_back(context.list(std::move(one)));
  }
  return context.iterator(std::move(batches));
}

Value slice(Context& context, const Value& subject, const Bound& arguments) {
  const std::int64_t n = arguments.integer(0, 0);
  if (n == 0) fail("integer division or modulo by zero");
  const Value* fill = arguments.find_some(1);
  const auto all = items_of(context, subject);
  const auto size = static_cast<std::int64_t>(all->items.size());
  Values slices;
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    context.budget.step();
    const bool longer = i < size % n;
    const std::int64_t end = begin + size / n + (longer ? 1 : 0);
    Values one(all->items.begin() + begin, all->items.begin() + end);
    if (fill != nullptr && !longer) one.push_back(*fill);
    slices.push_back(context.list(std::move(one)));
    begin = end;
  }
  return context.iterator(std::move(slices));
}

Value attribute_of(Context& context, const Value& subject, const Bound& arguments) {
  const MarkedText& name = arguments.string(0);
  if (subject.is_undefined()) fail(subject.as_undefined().message);
  if (auto found = find_attribute(context, subject, name.view())) return *std::move(found);
  return Value::undefined(text("'", type_name(subject), " object' has no attribute '", name.bytes(), "'"));
}

Value default_of(Context&, const Value& subject, const Bound& arguments) {
  if (!subject.is_undefined() && (!arguments.boolean(1, false) || truth(subject))) return subject;
  if (arguments.find(0) != nullptr) return *arguments.find(0);
  return Value(std::make_shared<const String>());
}

}  // namespace

std::span<const Filter> sequence_filters() {
  static const Filter kFilters[] = {
      {{"attr", "name", 1}, attribute_of},
      {{"batch", "linecount fill_with", 1}, batch},
      {{"count", "", 0}, length},
      {{"d", "default_value boolean", 0}, default_of},
      {{"default", "default_value boolean", 0}, default_of},
      {{"first", "", 0}, first},
      {{"items", "", 0}, items},
      {{"join", "d attribute", 0}, join},
      {{"last", "", 0}, last},
      {{"length", "", 0}, length},
      {{"list", "", 0}, list},
      {{"reverse", "", 0}, reverse},
      {{"slice", "slices fill_with", 1}, slice},
  };
  return kFilters;
}

}  // namespace colonnade::engine::jinja
