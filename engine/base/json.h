// JSON from untrusted bytes: nlohmann's library behind a Result, with limits on size and depth.
#pragma once

#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/base/result.h"

namespace colonnade {

using Json = nlohmann::json;
/// Keeps the order of keys as written.
using OrderedJson = nlohmann::ordered_json;

/// Parses one JSON value. `what` names the source in the message ("config.json", "request body"). kInvalidArgument
/// with the byte position for malformed text, or for nesting deeper than `max_depth`. Never throws.
Result<Json> parse_json(std::string_view text, std::string_view what, int max_depth = 64);

inline constexpr std::size_t kMaxOrderedKeys = 1024;
/// The same for a value whose keys keep their order. An object with more than `max_keys` keys is kInvalidArgument: looking
/// for a key of such an object takes time in proportion to its keys.
Result<OrderedJson> parse_ordered_json(std::string_view text, std::string_view what, int max_depth = 64,
                                       std::size_t max_keys = kMaxOrderedKeys);

/// Text of a value; invalid UTF-8 in strings is replaced instead of thrown.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace colonnade
