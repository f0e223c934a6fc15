// The table of tests: `value is name(arguments)`.
#pragma once

#include <string_view>

#include "engine/text/jinja/arguments.h"

namespace colonnade::engine::jinja {

struct Test {
  Signature signature;
  bool (*apply)(Context& context, const Value& subject, const Bound& arguments);
};

/// nullptr when there is none of that name.
const Test* find_test(std::string_view name);
bool apply_test(Context& context, const Test& test, const Value& subject, Arguments& arguments);

}  // namespace colonnade::engine::jinja
