// The table of filters: `value | name(arguments)`.
#pragma once

#include <span>
#include <string_view>

#include "engine/text/jinja/arguments.h"

namespace colonnade::engine::jinja {

struct Filter {
  Signature signature;
  Value (*apply)(Context& context, const Value& subject, const Bound& arguments);
};

/// nullptr when there is none of that name.
const Filter* find_filter(std::string_view name);
Value apply_filter(Context& context, const Filter& filter, const Value& subject, Arguments& arguments);

// One table a file.
std::span<const Filter> text_filters();
std::span<const Filter> layout_filters();
std::span<const Filter> markup_filters();
std::span<const Filter> number_filters();
std::span<const Filter> sequence_filters();
std::span<const Filter> order_filters();
std::span<const Filter> selection_filters();

}  // namespace colonnade::engine::jinja
