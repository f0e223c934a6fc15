#include "engine/text/jinja/filters.h"

#include <map>

namespace colonnade::engine::jinja {

const Filter* find_filter(std::string_view name) {
  static const std::map<std::string_view, const Filter*> kTable = [] {
    std::map<std::string_view, const Filter*> table;
    for (const auto list : {text_filters(), layout_filters(), markup_filters(), number_filters(), sequence_filters(), order_filters(),
                            selection_filters()})
      for (const Filter& filter : list) table.emplace(filter.signature.name, &filter);
    return table;
  }();
  const auto found = kTable.find(name);
  return found != kTable.end() ? found->second : nullptr;
}

Value apply_filter(Context& context, const Filter& filter, const Value& subject, Arguments& arguments) {
  const Bound bound(context, filter.signature, arguments);
  return filter.apply(context, subject, bound);
}

}  // namespace colonnade::engine::jinja
