#include "shard/gguf_vocabulary.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

constexpr std::string_view kPrefix = "tokenizer.ggml.";

std::string key(std::string_view name) { return std::string(kPrefix).append(name); }

/// nullopt also for what is no id: some files have 2^32-1 or -1 for none.
Result<std::optional<std::int32_t>> token_id(const GgufHeader& header, std::string_view name) {
  COLONNADE_ASSIGN(const auto value, header.integer(key(name)));
  if (!value || *value < 0 || *value > std::numeric_limits<std::int32_t>::max()) return std::optional<std::int32_t>();
  return std::optional(static_cast<std::int32_t>(*value));
}

}  // namespace

Result<engine::GgufVocabulary> gguf_vocabulary(const GgufHeader& header) {
  engine::GgufVocabulary vocabulary;
  COLONNADE_ASSIGN(auto model, header.string(key("model")));
  if (!model) return Error{ErrorCode::kNotFound, text("GGUF key ", key("model"), " must be there, found none: no tokenizer")};
  vocabulary.model = std::move(*model);
  COLONNADE_ASSIGN(auto pre, header.string(key("pre")));
  vocabulary.pre = pre.value_or("");
  COLONNADE_ASSIGN(vocabulary.tokens, header.strings(key("tokens")));
  COLONNADE_ASSIGN(vocabulary.merges, header.strings(key("merges")));
  COLONNADE_ASSIGN(const auto scores, header.numbers(key("scores")));
  for (const double score : scores) vocabulary.scores.push_back(static_cast<float>(score));
  COLONNADE_ASSIGN(const auto types, header.integers(key("token_type")));
  for (const std::int64_t type : types) {
    vocabulary.types.push_back(static_cast<std::int32_t>(std::clamp<std::int64_t>(type, 0, 1000)));
  }
  COLONNADE_ASSIGN(const auto charsmap, header.integers(key("precompiled_charsmap")));
  for (const std::int64_t byte : charsmap) vocabulary.charsmap += static_cast<char>(byte);
  COLONNADE_ASSIGN(vocabulary.bos, token_id(header, "bos_token_id"));
  COLONNADE_ASSIGN(vocabulary.eos, token_id(header, "eos_token_id"));
  COLONNADE_ASSIGN(vocabulary.unknown, token_id(header, "unknown_token_id"));
  COLONNADE_ASSIGN(vocabulary.separator, token_id(header, "seperator_token_id"));  // as the format spells it
  COLONNADE_ASSIGN(vocabulary.add_bos, header.boolean(key("add_bos_token")));
  COLONNADE_ASSIGN(vocabulary.add_eos, header.boolean(key("add_eos_token")));
  COLONNADE_ASSIGN(vocabulary.add_separator, header.boolean(key("add_sep_token")));
  COLONNADE_ASSIGN(vocabulary.add_space_prefix, header.boolean(key("add_space_prefix")));
  COLONNADE_ASSIGN(vocabulary.remove_extra_whitespaces, header.boolean(key("remove_extra_whitespaces")));
  return vocabulary;
}

}  // namespace colonnade::shard
