// What Unicode says of a character, and its normal forms: the door to ICU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/utf8.h"

namespace colonnade::engine {

/// Sets that a character may belong to; general categories as in Unicode (L*, N*, …).
enum CharSet : std::uint16_t {
  kLetter = 1,            // L*
  kNumber = 2,            // N*
  kMark = 4,              // M*
  kWhiteSpace = 8,        // the property White_Space: what \s matches in Oniguruma and Rust
  kPunctuation = 16,      // P*
  kSymbol = 32,           // S*
  kUpperLike = 64,        // Lu Lt Lm Lo M*
  kLowerLike = 128,       // Ll Lm Lo M*
  kWord = 256,            // Alphabetic, M*, Nd, Pc, Join_Control: what \w matches in Rust
  kHan = 512,             // script Han
  // Rust's libraries for these go by older editions of Unicode: 8 for BERT, 9 for accents.
  kBertPunctuation = 1024,  // P*
  kBertControl = 2048,      // Cc, Cf, Co
  kBertAccent = 4096,       // Mn
  kAccent = 8192,           // M*
};

/// The sets of every character, as a table of two levels. Built at first use (some milliseconds), then read-only.
class CharSets {
 public:
  static const CharSets& get();
  std::uint16_t of(char32_t character) const {
    return character > 0x10FFFF ? std::uint16_t{0} : blocks_[(std::size_t{index_[character >> 8]} << 8) | (character & 0xFF)];
  }
  bool is(char32_t character, unsigned sets) const { return (of(character) & sets) != 0; }

 private:
  CharSets();
  std::array<std::uint16_t, 0x1100> index_{};
  std::vector<std::uint16_t> blocks_;
};

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
/// `text` is valid UTF-8.
std::string normalize(std::string text, NormalForm form);

/// Appends the lower case of one character, without context: as Rust's char::to_lowercase.
void append_lower_case(char32_t character, std::string& out);

/// Where the grapheme clusters of `text` (valid UTF-8) end, in ascending order; the last is text.size().
std::vector<std::size_t> grapheme_ends(std::string_view text);

/// ICU's number for the script of a character; -1 for characters that have none.
int script_of(char32_t character);
int han_script();
bool is_kana_script(int script);

/// One character of valid UTF-8 at `at`; moves `at` behind it.
inline char32_t next_character(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t lead = byte(at);
  if (lead < 0x80) return ++at, lead;
  if (lead < 0xE0) return at += 2, (lead & 0x1F) << 6 | (byte(at - 1) & 0x3F);
  if (lead < 0xF0) return at += 3, (lead & 0x0F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
  return at += 4, (lead & 0x07) << 18 | (byte(at - 3) & 0x3F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
}
/// The character that ends before `at` (> 0).
inline char32_t previous_character(std::string_view text, std::size_t at) {
  do --at;
  while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return next_character(text, at);
}

}  // namespace colonnade::engine
