// Attributes, items and slices of values, as Jinja's sandbox gives them.
#pragma once

#include <optional>
#include <string_view>

#include "engine/text/jinja/context.h"

namespace colonnade::engine::jinja {

/// `object.name`: a method or attribute, else the item of that key, else undefined. Fails for undefined objects.
Value get_attribute(Context& context, const Value& object, const Value& name);
/// `object[key]`: the item, else for a text the attribute, else undefined.
Value get_item(Context& context, const Value& object, const Value& key);
/// `object[start:stop:step]`; none: the whole range.
Value get_slice(Context& context, const Value& object, const Value* start, const Value* stop, const Value* step);

/// The attribute itself, nothing else: a method, or what an object has.
std::optional<Value> find_attribute(Context& context, const Value& object, std::string_view name);

/// Looks up "a.b.0" part by part, as the filters' attribute= does. `path` is a string or an integer.
Value get_path(Context& context, Value object, const Value& path);

}  // namespace colonnade::engine::jinja
