// Bytes that are not UTF-8 on their way through normalizers and pre-tokenizers, which see text: each travels as one
// private-use character of its own (U+10FF00 + byte). The bytes of such a character in the text travel the same way, so
// that nothing is ambiguous and every input comes back byte for byte.
#pragma once

#include <string>
#include <string_view>

namespace colonnade::engine {

/// Whether `text` holds anything that needs stand-ins; then `out` is the text with them, valid UTF-8.
bool to_stand_ins(std::string_view text, std::string& out);

/// The byte that the character at text[at] stands for, or -1.
inline int stand_in_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  if (text.size() - at < 4 || byte(0) != 0xF4 || byte(1) != 0x8F || byte(2) < 0xBE) return -1;
  return 0x80 | (byte(2) & 1) << 6 | (byte(3) & 0x3F);
}

/// Appends `text` with the bytes themselves again.
void restore_bytes(std::string_view text, std::string& out);

}  // namespace colonnade::engine
