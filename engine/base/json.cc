#include "engine/base/json.h"

#include "engine/base/format_text.h"

namespace colonnade {

Result<Json> parse_json(std::string_view input, std::string_view what, int max_depth) {
  bool too_deep = false;
  try {
    // A first cheap look keeps deep nesting from exhausting the stack of the destructor.
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < input.size() && !too_deep; ++i) {
      const char c = input[i];
      if (in_string) {
        if (c == '\\') ++i;
        else if (c == '"') in_string = false;
      } else if (c == '"') {
        in_string = true;
      } else if (c == '[' || c == '{') {
        too_deep = ++depth > max_depth;
      } else if (c == ']' || c == '}') {
        --depth;
      }
    }
    if (too_deep)
      return Error{ErrorCode::kInvalidArgument,
                   text(what, ": JSON is nested deeper than the limit of ", max_depth, " levels")};
    return Json::parse(input.begin(), input.end());
  } catch (const Json::parse_error& error) {
    return Error{ErrorCode::kInvalidArgument,
                 text(what, ": malformed JSON at byte ", error.byte, " of ", input.size())};
  } catch (const std::exception& error) {
    return Error{ErrorCode::kInvalidArgument, text(what, ": malformed JSON: ", error.what())};
  }
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace colonnade
