// What tokenizer_config.json adds to vocabularies that do not say it themselves (SentencePiece, tiktoken).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/tokenizer/added_tokens.h"

namespace colonnade::engine {

struct TokenizerConfig {
  std::vector<AddedToken> added_tokens;  // "added_tokens_decoder"
  std::optional<bool> add_bos, add_eos;  // "add_bos_token", "add_eos_token"
  std::string bos, eos;                  // contents; "" for none
};

/// Empty bytes give an empty configuration. Errors name the field of tokenizer_config.json.
Result<TokenizerConfig> read_tokenizer_config(std::string_view json);

}  // namespace colonnade::engine
