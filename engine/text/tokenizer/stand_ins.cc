#include "engine/text/tokenizer/stand_ins.h"

#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

void append_stand_in(char c, std::string& out) {
  const auto byte = static_cast<unsigned char>(c);
  out += {'\xF4', '\x8F', static_cast<char>(0xBE | (byte >> 6 & 1)), static_cast<char>(0x80 | (byte & 0x3F))};
}

}  // namespace

bool to_stand_ins(std::string_view text, std::string& out) {
  if (is_valid_utf8(text) && text.find("\xF4\x8F\xBE") == text.npos && text.find("\xF4\x8F\xBF") == text.npos) return false;
  out.clear();
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Head head = read_utf8(text.substr(at));
    const std::string_view bytes = text.substr(at, head.size);
    if (head.kind == Utf8Head::kCharacter && stand_in_at(bytes, 0) < 0) out += bytes;
    else for (const char byte : bytes) append_stand_in(byte, out);
    at += head.size;
  }
  return true;
}

void restore_bytes(std::string_view text, std::string& out) {
  for (std::size_t at = 0; at < text.size();) {
    const int byte = stand_in_at(text, at);
    out += byte < 0 ? text[at] : static_cast<char>(byte);
    at += byte < 0 ? 1 : 4;
  }
}

}  // namespace colonnade::engine
