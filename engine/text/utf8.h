// UTF-8 read one character at a time from bytes that nobody promised to be valid.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace colonnade::engine {

/// U+FFFD, what stands for bytes that are not text.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// What `bytes` begins with. Bytes that can never be part of a character form runs as the Unicode standard advises
/// ("maximal subparts": one replacement for the longest beginning of a character that is there).
struct Utf8Head {
  enum Kind { kCharacter, kInvalid, kIncomplete } kind;  // incomplete: a valid beginning that the bytes end within
  std::size_t size;                                      // bytes it takes, at least 1
};
/// `bytes` is not empty.
Utf8Head read_utf8(std::string_view bytes);

bool is_valid_utf8(std::string_view bytes);

/// `bytes` with everything that is not UTF-8, an incomplete end included, replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view bytes);

/// What is no code point becomes U+FFFD.
void append_utf8(char32_t code, std::string& out);

/// Collects bytes and gives them out in whole characters; what can never become one becomes U+FFFD.
class Utf8Assembler {
 public:
  std::string push(std::string_view bytes);
  /// The rest: an incomplete character becomes U+FFFD.
  std::string finish();

 private:
  std::string pending_;  // at most 3 bytes between calls
};

}  // namespace colonnade::engine
