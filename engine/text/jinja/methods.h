// The methods of texts, lists, tuples, dicts and numbers. What would change a value is refused, as the sandbox does.
#pragma once

#include <span>
#include <string_view>

#include "engine/text/jinja/arguments.h"

namespace colonnade::engine::jinja {

struct Method {
  Signature signature;
  Value (*apply)(Context& context, const Value& self, const Bound& arguments);
};

enum class MethodState { kNone, kCallable, kUnsafe };
MethodState method_state(const Value& self, std::string_view name);
/// `self.name` as a function; only where the state is kCallable.
Value bind_method(Context& context, const Value& self, std::string_view name);

// One table a file.
std::span<const Method> text_change_methods();
std::span<const Method> text_search_methods();
std::span<const Method> sequence_methods();
std::span<const Method> dict_methods();
std::span<const Method> float_methods();

}  // namespace colonnade::engine::jinja
