// Functions of our own as values.
#pragma once

#include <functional>
#include <string>

#include "engine/text/jinja/context.h"

namespace colonnade::engine::jinja {

using NativeFunction = std::function<Value(Context&, Arguments&)>;

/// `depth`: of the values that the function holds.
Value make_function(Context& context, std::string name, NativeFunction function, int depth = 0);

}  // namespace colonnade::engine::jinja
