#include "engine/text/json_fields.h"

#include <limits>

#include "engine/base/format_text.h"

namespace colonnade::engine {

Error wrong_field(std::string_view place, std::string_view expected, const Json& found) {
  std::string value = found.is_structured() ? found.type_name() : dump_json(found);
  if (value.size() > 40) value = value.substr(0, 40) + "…";
  return {ErrorCode::kCorrupt, text("tokenizer.json: ", place, " must be ", expected, ", found ", value)};
}

Error unsupported_part(std::string_view place, std::string_view kind, std::string_view supported) {
  return {ErrorCode::kUnsupported,
          text("tokenizer.json: ", place, " ", kind, " is not supported (supported: ", supported, ")")};
}

const Json& member_or_null(const Json& object, std::string_view name) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

Result<std::string> part_type(const Json& part, std::string_view place) {
  if (!part.is_object()) return wrong_field(place, "an object", part);
  return string_member(part, "type", place);
}

Result<std::string> string_member(const Json& object, std::string_view name, std::string_view place) {
  const Json& value = member_or_null(object, name);
  if (!value.is_string()) return wrong_field(text(place, ".", name), "a string", value);
  return value.get<std::string>();
}

Result<bool> bool_member(const Json& object, std::string_view name, std::string_view place, bool fallback) {
  const Json& value = member_or_null(object, name);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) return wrong_field(text(place, ".", name), "true or false", value);
  return value.get<bool>();
}

Result<std::int32_t> index_value(const Json& value, std::string_view place) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const bool fits = value.is_number_unsigned() ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(kMost)
                                               : value.is_number_integer() && value.get<std::int64_t>() >= 0;
  if (!fits) return wrong_field(place, text("an integer from 0 to ", kMost), value);
  return static_cast<std::int32_t>(value.get<std::int64_t>());
}

Result<std::string> string_pattern(const Json& part, std::string_view place) {
  const Json& pattern = member_or_null(part, "pattern");
  if (!member_or_null(pattern, "Regex").is_null()) {
    return unsupported_part(place, "with pattern Regex", "pattern String");
  }
  COLONNADE_ASSIGN(std::string found, string_member(pattern, "String", text(place, ".pattern")));
  if (found.empty()) return wrong_field(text(place, ".pattern.String"), "at least one character", pattern["String"]);
  return found;
}

}  // namespace colonnade::engine
