// GBNF, llama.cpp's notation for grammars (grammars/README.md there): rules `name ::= …` with literals, character classes,
// `.`, groups, `|`, `*`, `+`, `?`, `{m,n}` and comments. Token references (`<think>`, `<[1000]>`) are refused.
#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/text/grammar/grammar.h"

namespace colonnade::engine {

/// The grammar of the rule `root`. kInvalidArgument names line, column, what was expected and what was found. Handles
/// untrusted text: time and memory in proportion to its length, which is bounded.
Result<Grammar> parse_gbnf(std::string_view text);

}  // namespace colonnade::engine
