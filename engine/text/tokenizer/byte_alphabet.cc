#include "engine/text/tokenizer/byte_alphabet.h"

#include <array>

#include "engine/text/tokenizer/stand_ins.h"
#include "engine/text/tokenizer/unicode.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

/// Printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100 and those that follow.
struct Alphabet {
  std::array<std::string, 256> letter_of_byte;
  std::array<std::int16_t, 0x144> byte_of_letter;

  Alphabet() {
    byte_of_letter.fill(-1);
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const char32_t letter = printable ? byte : next++;
      append_utf8(letter, letter_of_byte[byte]);
      byte_of_letter[letter] = static_cast<std::int16_t>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet made;
  return made;
}

}  // namespace

void append_byte_letters(std::string_view bytes, std::string& letters) {
  const auto& letter_of_byte = alphabet().letter_of_byte;
  for (std::size_t at = 0; at < bytes.size();) {
    const int byte = stand_in_at(bytes, at);
    letters += letter_of_byte[byte < 0 ? static_cast<unsigned char>(bytes[at]) : static_cast<std::size_t>(byte)];
    at += byte < 0 ? 1 : 4;
  }
}

std::optional<std::string> bytes_of_letters(std::string_view letters) {
  if (!is_valid_utf8(letters)) return std::nullopt;
  std::string bytes;
  bytes.reserve(letters.size());
  for (std::size_t at = 0; at < letters.size();) {
    const char32_t letter = next_character(letters, at);
    const std::int16_t byte = letter < alphabet().byte_of_letter.size() ? alphabet().byte_of_letter[letter] : std::int16_t{-1};
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(static_cast<unsigned char>(byte));
  }
  return bytes;
}

}  // namespace colonnade::engine
