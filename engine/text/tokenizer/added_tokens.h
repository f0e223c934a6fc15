// Added tokens: strings such as "<s>" that become one id wherever they stand in the text, before the model sees it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/byte_range.h"
#include "engine/text/tokenizer/prefix_trie.h"

namespace colonnade::engine {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;      // left out of decoded text on request; not recognised in plain text
  bool normalized = false;   // searched for in the normalised text instead of the raw one
  bool single_word = false;  // only where no letter, digit or '_' touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // … and after it
};

Result<std::vector<AddedToken>> read_added_tokens(const Json& list);

/// A piece of text, or one added token.
struct TextPart {
  std::string_view text;
  const AddedToken* token = nullptr;
};

/// Finds a set of added tokens in text. Immutable, thread-safe.
class AddedTokenFinder {
 public:
  /// `tokens` must outlive this. Tokens without content are never found.
  explicit AddedTokenFinder(const std::vector<AddedToken>& tokens);

  /// Splits `text` (valid UTF-8) at the leftmost, then longest, occurrences. With `recognise_special` false, special
  /// tokens stay text, and so do those of which a byte lies in `plain` (ascending, disjoint). Pieces of text are never
  /// empty.
  std::vector<TextPart> split(std::string_view text, bool recognise_special, std::span<const ByteRange> plain = {}) const;

 private:
  const std::vector<AddedToken>& tokens_;
  PrefixTrie trie_;  // content to index
};

}  // namespace colonnade::engine
