// Fields of a tokenizer file, read with one clear error: every function names the field as "tokenizer.json: PLACE.NAME".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::engine {

/// kCorrupt: "tokenizer.json: <place> must be <expected>, found <kind of value>".
Error wrong_field(std::string_view place, std::string_view expected, const Json& found);

/// kUnsupported: "tokenizer.json: <place> <kind> is not supported (supported: …)".
Error unsupported_part(std::string_view place, std::string_view kind, std::string_view supported);

/// The same error, with "tokenizer.json: <place>: " before its message.
Error in_tokenizer_json(std::string_view place, const Error& error);

/// The member `name`, or a null when it is missing.
const Json& member_or_null(const Json& object, std::string_view name);

/// The "type" of a part such as a normalizer.
Result<std::string> part_type(const Json& part, std::string_view place);

Result<std::string> string_member(const Json& object, std::string_view name, std::string_view place);
/// Missing or null gives `fallback`.
Result<bool> bool_member(const Json& object, std::string_view name, std::string_view place, bool fallback);
/// 0 … 2^31-1.
Result<std::int32_t> index_value(const Json& value, std::string_view place);

/// "pattern": {"String": "…"} or {"Regex": "…"}.
struct FilePattern {
  std::string content;  // not empty
  bool is_regex = false;
};
Result<FilePattern> file_pattern(const Json& part, std::string_view place);
/// The pattern as a regular expression, a String with its special characters escaped.
Result<std::string> pattern_as_regex(const Json& part, std::string_view place);
std::string escape_pattern(std::string_view text);

/// The fields that Metaspace has as a pre-tokenizer and as a decoder.
struct Metaspace {
  std::string replacement;     // one character
  std::string prepend_scheme;  // always, first, never
};
Result<Metaspace> read_metaspace(const Json& part, std::string_view place);

}  // namespace colonnade::engine
