#include "engine/text/tokenizer/json_fields.h"

#include <limits>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/utf8.h"

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

Error in_tokenizer_json(std::string_view place, const Error& error) {
  return {error.code, text("tokenizer.json: ", place, ": ", error.message)};
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

Result<FilePattern> file_pattern(const Json& part, std::string_view place) {
  const Json& pattern = member_or_null(part, "pattern");
  const bool is_regex = !member_or_null(pattern, "Regex").is_null();
  const std::string_view name = is_regex ? "Regex" : "String";
  COLONNADE_ASSIGN(std::string content, string_member(pattern, name, text(place, ".pattern")));
  if (content.empty()) return wrong_field(text(place, ".pattern.", name), "at least one character", pattern[name]);
  return FilePattern{std::move(content), is_regex};
}

Result<std::string> pattern_as_regex(const Json& part, std::string_view place) {
  COLONNADE_ASSIGN(FilePattern found, file_pattern(part, place));
  return found.is_regex ? std::move(found.content) : escape_pattern(found.content);
}

std::string escape_pattern(std::string_view text) {
  constexpr std::string_view kSpecial = "\\^$.|?*+()[]{}-#&~";
  std::string escaped;
  for (const char c : text) {
    if (kSpecial.find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

Result<Metaspace> read_metaspace(const Json& part, std::string_view place) {
  Metaspace read;
  COLONNADE_ASSIGN(read.replacement, string_member(part, "replacement", place));
  const Json& value = part["replacement"];
  if (read.replacement.empty() || read_utf8(read.replacement).size != read.replacement.size()) {
    return wrong_field(text(place, ".replacement"), "one character", value);
  }
  const Json& scheme = member_or_null(part, "prepend_scheme");
  read.prepend_scheme = "always";
  if (!scheme.is_null()) {
    COLONNADE_ASSIGN(read.prepend_scheme, string_member(part, "prepend_scheme", place));
    if (read.prepend_scheme != "always" && read.prepend_scheme != "first" && read.prepend_scheme != "never") {
      return wrong_field(text(place, ".prepend_scheme"), "always, first or never", scheme);
    }
  }
  COLONNADE_ASSIGN(const bool prefix, bool_member(part, "add_prefix_space", place, true));
  if (!prefix) read.prepend_scheme = "never";
  return read;
}

}  // namespace colonnade::engine
