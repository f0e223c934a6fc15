#include "engine/text/tokenizer/tokenizer_config.h"

#include <charconv>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/text/tokenizer/json_fields.h"

namespace colonnade::engine {
namespace {

constexpr const char* kFile = "tokenizer_config.json";

/// A token is written as its content or as an object with it.
std::string token_content(const Json& config, const char* name) {
  const Json& value = member_or_null(config, name);
  const Json& content = value.is_object() ? member_or_null(value, "content") : value;
  return content.is_string() ? content.get<std::string>() : "";
}

std::optional<bool> optional_flag(const Json& config, const char* name) {
  const Json& value = member_or_null(config, name);
  return value.is_boolean() ? std::optional(value.get<bool>()) : std::nullopt;
}

bool flag(const Json& token, const char* name) { return optional_flag(token, name).value_or(false); }

}  // namespace

Result<TokenizerConfig> read_tokenizer_config(std::string_view json) {
  TokenizerConfig read;
  if (json.empty()) return read;
  COLONNADE_ASSIGN(const Json config, parse_json(json, kFile));
  if (!config.is_object()) {
    return Error{ErrorCode::kCorrupt, text(kFile, ": must be an object, found ", config.type_name())};
  }
  read.add_bos = optional_flag(config, "add_bos_token");
  read.add_eos = optional_flag(config, "add_eos_token");
  read.bos = token_content(config, "bos_token");
  read.eos = token_content(config, "eos_token");
  const Json& added = member_or_null(config, "added_tokens_decoder");
  if (added.is_null()) return read;
  if (!added.is_object()) {
    return Error{ErrorCode::kCorrupt, text(kFile, ": added_tokens_decoder must be an object, found ", added.type_name())};
  }
  for (const auto& [key, one] : added.items()) {
    AddedToken token;
    const auto number = std::from_chars(key.data(), key.data() + key.size(), token.id);
    const Json& content = member_or_null(one, "content");
    if (number.ec != std::errc() || number.ptr != key.data() + key.size() || token.id < 0 || !content.is_string()) {
      return Error{ErrorCode::kCorrupt, text(kFile, ": added_tokens_decoder must have ids and contents, found \"", key, "\": ",
                                             content.type_name())};
    }
    token.content = content.get<std::string>();
    token.special = flag(one, "special");
    token.single_word = flag(one, "single_word");
    token.lstrip = flag(one, "lstrip");
    token.rstrip = flag(one, "rstrip");
    read.added_tokens.push_back(std::move(token));
  }
  return read;
}

}  // namespace colonnade::engine
