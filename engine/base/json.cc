#include "engine/base/json.h"

#include <vector>

#include "engine/base/format_text.h"

namespace colonnade {
namespace {

/// A first cheap look, so that deep nesting does not exhaust the stack of the destructor.
bool nested_deeper(std::string_view input, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < input.size(); ++i) {
    const char c = input[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

template <typename Value>
Result<Value> parse(std::string_view input, std::string_view what, int max_depth,
                    const nlohmann::detail::parser_callback_t<Value>& on_event) {
  if (nested_deeper(input, max_depth))
    return Error{ErrorCode::kInvalidArgument, text(what, ": JSON is nested deeper than the limit of ", max_depth, " levels")};
  try {
    return Value::parse(input.begin(), input.end(), on_event);
  } catch (const nlohmann::json::parse_error& error) {
    if (error.byte > input.size())
      return Error{ErrorCode::kInvalidArgument, text(what, ": malformed JSON: ends too early, after ", input.size(), " bytes")};
    return Error{ErrorCode::kInvalidArgument, text(what, ": malformed JSON at byte ", error.byte, " of ", input.size())};
  } catch (const std::exception& error) {
    return Error{ErrorCode::kInvalidArgument, text(what, ": malformed JSON: ", error.what())};
  }
}

}  // namespace

Result<Json> parse_json(std::string_view input, std::string_view what, int max_depth) {
  return parse<Json>(input, what, max_depth, nullptr);
}

Result<OrderedJson> parse_ordered_json(std::string_view input, std::string_view what, int max_depth,
                                       std::size_t max_keys) {
  std::vector<std::size_t> keys;  // of the open objects
  bool too_many = false;
  const auto on_event = [&](int, OrderedJson::parse_event_t event, OrderedJson&) {
    if (event == OrderedJson::parse_event_t::object_start) keys.push_back(0);
    else if (event == OrderedJson::parse_event_t::object_end) keys.pop_back();
    else if (event == OrderedJson::parse_event_t::key) too_many = too_many || ++keys.back() > max_keys;
    return !too_many;
  };
  auto value = parse<OrderedJson>(input, what, max_depth, on_event);
  if (value.ok() && too_many) {
    return Error{ErrorCode::kInvalidArgument, text(what, ": expected JSON objects of at most ", max_keys, " keys, found a larger one")};
  }
  return value;
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace colonnade
