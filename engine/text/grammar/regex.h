// Regular expressions of JSON schemas (ECMA-262) → expressions of a grammar: characters, `.`, classes, \d \w \s and their
// opposites, groups, `|`, quantifiers; `^` and `$` at the ends of the whole or of its alternatives. Refused by name: look
// around, back references, \b, \p{…}, anchors inside.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/grammar/grammar.h"

namespace colonnade::engine {

/// How characters are written where the text will stand.
using CharWriter = std::function<GrammarExpr(const std::vector<CharRange>&)>;

struct RegexGrammar {
  GrammarExpr expr = -1;
  /// Lengths in characters of the texts that match; kUnbounded: no end.
  int min_length = 0;
  int max_length = 0;
};

/// Texts in which the pattern is found. Where it is one character class repeated between `^` and `$`, only repetitions
/// from min_length to max_length are taken. kUnsupported or kInvalidArgument say what was found at which character.
Result<RegexGrammar> add_regex(GrammarBuilder& builder, std::string_view pattern, const CharWriter& write, int min_length = 0,
                               int max_length = kUnbounded);

}  // namespace colonnade::engine
