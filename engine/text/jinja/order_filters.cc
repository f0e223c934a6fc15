// Filters that compare items: sort, min, max, unique, groupby, sum.
#include <algorithm>
#include <unordered_map>

#include "engine/base/format_text.h"
#include "engine/text/jinja/access.h"
#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/text_methods.h"

namespace colonnade::engine::jinja {
namespace {

Value ignoring_case(Context& context, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  return context.string(with_case(context, value.as_text(), Case::kLower));
}

/// What an item is compared by. `attribute` may be null.
Value key_of(Context& context, const Value& item, const Value* attribute, bool case_sensitive) {
  return ignoring_case(context, attribute != nullptr ? get_path(context, item, *attribute) : item, case_sensitive);
}

/// By several attributes with commas between: a list.
Value keys_of(Context& context, const Value& item, const Value* attribute, bool case_sensitive) {
  if (attribute == nullptr || !attribute->is_string()) return context.list({key_of(context, item, attribute, case_sensitive)});
  static const MarkedText kComma(",");
  Values keys;
  for (const ByteRange& part : split_ranges(context, attribute->as_text().view(), &kComma, -1, false)) {
    const Value one = context.string(attribute->as_text().part(part.begin, part.end));
    keys.push_back(key_of(context, item, &one, case_sensitive));
  }
  return context.list(std::move(keys));
}

struct Keyed {
  Value key;
  Value item;
};

/// Stable, also in reverse.
void sort_keyed(Context& context, std::vector<Keyed>& all, bool reverse) {
  std::stable_sort(all.begin(), all.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(context, b.key, a.key) : less(context, a.key, b.key);
  });
}

Values items_in(std::vector<Keyed> all) {
  Values items;
  for (Keyed& one : all) items.push_back(std::move(one.item));
  return items;
}

Value sort(Context& context, const Value& subject, const Bound& arguments) {
  std::vector<Keyed> all;
  for (const Value& item : items_of(context, subject))
    all.push_back({keys_of(context, item, arguments.find_some(2), arguments.boolean(1, false)), item});
  sort_keyed(context, all, arguments.boolean(0, false));
  return context.list(items_in(std::move(all)));
}

Value dict_sort(Context& context, const Value& subject, const Bound& arguments) {
  if (!subject.is(Kind::kDict)) fail_argument("dictsort", "the value", "a dict", subject);
  const std::string by = arguments.find(1) != nullptr ? arguments.string(1).bytes() : "key";
  if (by != "key" && by != "value") fail(text("dictsort(): You can only sort by either \"key\" or \"value\", found '", by, "'"));
  std::vector<Keyed> all;
  for (const Dict::Entry& entry : subject.as_dict().entries) {
    const Value& chosen = by == "key" ? entry.first : entry.second;
    all.push_back({ignoring_case(context, chosen, arguments.boolean(0, false)), context.tuple({entry.first, entry.second})});
  }
  sort_keyed(context, all, arguments.boolean(2, false));
  return context.list(items_in(std::move(all)));
}

template <bool kMax>
Value extreme(Context& context, const Value& subject, const Bound& arguments) {
  const auto items = items_of(context, subject);
  if (items->items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const Value* best = nullptr;
  Value best_key;
  for (const Value& item : items->items) {
    const Value key = key_of(context, item, arguments.find_some(1), arguments.boolean(0, false));
    if (best != nullptr && !(kMax ? less(context, best_key, key, ">") : less(context, key, best_key))) continue;
    best = &item;
    best_key = key;
  }
  return *best;
}

Value unique(Context& context, const Value& subject, const Bound& arguments) {
  std::unordered_multimap<std::size_t, Value> seen;
  Values out;
  for (const Value& item : items_of(context, subject)) {
    const Value key = key_of(context, item, arguments.find_some(1), arguments.boolean(0, false));
    const std::size_t hash = hash_of(context, key);
    const auto [begin, end] = seen.equal_range(hash);
    if (std::any_of(begin, end, [&](const auto& one) { return equals(context, one.second, key); })) continue;
    seen.emplace(hash, key);
    out.push_back(item);
  }
  return context.iterator(std::move(out));
}

Value group_by(Context& context, const Value& subject, const Bound& arguments) {
  const Value* otherwise = arguments.find_some(1);
  const bool case_sensitive = arguments.boolean(2, false);
  const auto attribute_of = [&](const Value& item) {
    const Value value = get_path(context, item, arguments.at(0));
    return value.is_undefined() && otherwise != nullptr ? *otherwise : value;
  };
  std::vector<Keyed> all;
  for (const Value& item : items_of(context, subject))
    all.push_back({ignoring_case(context, attribute_of(item), case_sensitive), item});
  sort_keyed(context, all, false);
  Values groups;
  for (std::size_t begin = 0; begin < all.size();) {
    std::size_t end = begin;
    Values members;
    for (; end < all.size() && equals(context, all[begin].key, all[end].key); ++end) members.push_back(all[end].item);
    if (end == begin) members.push_back(all[end++].item);  // not equal to itself: nan
    const Value grouper = attribute_of(members.front());
    groups.push_back(context.list({grouper, context.list(std::move(members))}, Sequence::Type::kGroup));
    begin = end;
  }
  return context.list(std::move(groups));
}

Value sum(Context& context, const Value& subject, const Bound& arguments) {
  Value total = arguments.find(1) != nullptr ? *arguments.find(1) : Value::integer(0);
  if (total.is_string()) fail("sum() can't sum strings [use ''.join(seq) instead]");
  const Value* attribute = arguments.find_some(0);
  for (const Value& item : items_of(context, subject))
    total = apply_operation(context, Operation::kAdd, total, attribute != nullptr ? get_path(context, item, *attribute) : item);
  return total;
}

}  // namespace

std::span<const Filter> order_filters() {
  static const Filter kFilters[] = {
      {{"dictsort", "case_sensitive by reverse", 0}, dict_sort},
      {{"groupby", "attribute default case_sensitive", 1}, group_by},
      {{"max", "case_sensitive attribute", 0}, extreme<true>},
      {{"min", "case_sensitive attribute", 0}, extreme<false>},
      {{"sort", "reverse case_sensitive attribute", 0}, sort},
      {{"sum", "attribute start", 0}, sum},
      {{"unique", "case_sensitive attribute", 0}, unique},
  };
  return kFilters;
}

}  // namespace colonnade::engine::jinja
