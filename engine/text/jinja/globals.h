// The functions that every template knows: range, dict, namespace, cycler, joiner, raise_exception, strftime_now.
#pragma once

#include <optional>
#include <string_view>

#include "engine/text/jinja/context.h"

namespace colonnade::engine::jinja {

/// nullopt when there is none of that name.
std::optional<Value> make_global(Context& context, std::string_view name);

}  // namespace colonnade::engine::jinja
