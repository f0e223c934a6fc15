// The pre-tokenizer of a tokenizer: normalised text to words that the model splits each on its own.
// Kinds: BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, Metaspace, Punctuation, Sequence, Split,
// UnicodeScripts, Whitespace, WhitespaceSplit, and none (the whole text is one word).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/tokenizer/pieces.h"
#include "engine/text/tokenizer/regex.h"

namespace colonnade::engine {

/// Immutable, thread-safe.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Cuts every piece, and may change its text. Pieces are valid UTF-8 and not empty.
  virtual void apply(Pieces& pieces) const = 0;
};
using PreTokenizerSteps = std::vector<std::unique_ptr<PreTokenizer>>;

/// From the file's "pre_tokenizer". `bytes_at_end`: the caller wants words as bytes where the last step is ByteLevel,
/// instead of in the letters that it writes for bytes; set to whether that is so.
Result<PreTokenizerSteps> make_pre_tokenizer(const Json& part, bool& bytes_at_end);

/// Splits at a pattern as a scanner where there is one, else as a regular expression.
Result<std::unique_ptr<PreTokenizer>> make_pattern_split(std::string_view pattern, RegexDialect dialect,
                                                         SplitBehavior behavior, bool invert);

// The kinds that are not about patterns, for pre_tokenizer.cc.
std::unique_ptr<PreTokenizer> make_metaspace(std::string replacement, std::string_view prepend_scheme, bool split);
enum class CharacterSplit { kBert, kDigits, kDigitRuns, kWhitespace, kWhitespaceSplit };
std::unique_ptr<PreTokenizer> make_character_split(CharacterSplit kind);
std::unique_ptr<PreTokenizer> make_punctuation_split(SplitBehavior behavior);
std::unique_ptr<PreTokenizer> make_script_split();
std::unique_ptr<PreTokenizer> make_fixed_length(std::size_t n_characters);

}  // namespace colonnade::engine
