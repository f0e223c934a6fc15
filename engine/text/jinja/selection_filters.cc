// Filters that apply others: map, select, reject and their kin.
#include "engine/base/format_text.h"
#include "engine/text/jinja/access.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/tests.h"

namespace colonnade::engine::jinja {
namespace {

/// The arguments behind the first `n` positional ones.
Arguments without_first(const Arguments& all, std::size_t n) {
  Arguments rest;
  rest.positional.assign(all.positional.begin() + static_cast<std::ptrdiff_t>(n), all.positional.end());
  rest.named = all.named;
  return rest;
}

const std::string& name_in(const Value& value, const char* function) {
  if (!value.is_string()) fail_argument(function, "the name", "a string", value);
  return value.as_text().bytes();
}

Value map_attribute(Context& context, const Value& subject, const Arguments& all) {
  const Value *attribute = nullptr, *otherwise = nullptr;
  for (const auto& [name, value] : all.named) {
    if (name == "attribute") attribute = &value;
    else if (name == "default") otherwise = &value;
    else fail(text("map() has no argument named '", name, "'"));
  }
  if (attribute == nullptr) fail("map requires a filter argument");
  Values out;
  for (const Value& item : items_of(context, subject)) {
    Value found = get_path(context, item, *attribute);
    out.push_back(found.is_undefined() && otherwise != nullptr && !otherwise->is_none() ? *otherwise : std::move(found));
  }
  return context.iterator(std::move(out));
}

Value map(Context& context, const Value& subject, const Bound& arguments) {
  const Arguments& all = arguments.all();
  if (!truth(subject)) return context.iterator({});
  if (all.positional.empty()) return map_attribute(context, subject, all);
  const std::string& name = name_in(all.positional[0], "map");
  const Filter* filter = find_filter(name);
  if (filter == nullptr) fail(text("No filter named '", name, "'."));
  Values out;
  for (const Value& item : items_of(context, subject)) {
    Arguments rest = without_first(all, 1);
    const Level level(context.budget);
    out.push_back(apply_filter(context, *filter, item, rest));
  }
  return context.iterator(std::move(out));
}

template <bool kSelect, bool kAttribute>
Value select(Context& context, const Value& subject, const Bound& arguments) {
  const Arguments& all = arguments.all();
  constexpr std::size_t kTestAt = kAttribute ? 1 : 0;
  if (!truth(subject)) return context.iterator({});
  if (kAttribute && all.positional.empty()) fail("Missing parameter for attribute name");
  const Test* test = nullptr;
  if (all.positional.size() > kTestAt) {
    const std::string& name = name_in(all.positional[kTestAt], "select");
    test = find_test(name);
    if (test == nullptr) fail(text("No test named '", name, "'."));
  }
  Values out;
  for (const Value& item : items_of(context, subject)) {
    const Value tested = kAttribute ? get_path(context, item, all.positional[0]) : item;
    bool passes = false;
    if (test != nullptr) {
      Arguments rest = without_first(all, kTestAt + 1);
      passes = apply_test(context, *test, tested, rest);
    } else {
      passes = truth(tested);
    }
    if (passes == kSelect) out.push_back(item);
  }
  return context.iterator(std::move(out));
}

}  // namespace

std::span<const Filter> selection_filters() {
  static const Filter kFilters[] = {
      {{"map", "*", 0}, map},
      {{"reject", "*", 0}, select<false, false>},
      {{"rejectattr", "*", 0}, select<false, true>},
      {{"select", "*", 0}, select<true, false>},
      {{"selectattr", "*", 0}, select<true, true>},
  };
  return kFilters;
}

}  // namespace colonnade::engine::jinja
