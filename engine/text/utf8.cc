#include "engine/text/utf8.h"

#include <cstdint>
#include <cstring>

namespace colonnade::engine {

Utf8Head read_utf8(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {Utf8Head::kCharacter, 1};
  std::size_t size = 0;
  // The first continuation byte has a narrower range after some leads: it excludes overlong forms, surrogates and
  // what lies beyond U+10FFFF (Unicode 15, table 3-7).
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {Utf8Head::kInvalid, 1};
  }
  for (std::size_t i = 1; i < size; ++i) {
    if (i == bytes.size()) return {Utf8Head::kIncomplete, i};
    if (byte(i) < low || byte(i) > high) return {Utf8Head::kInvalid, i};
    low = 0x80;
    high = 0xBF;
  }
  return {Utf8Head::kCharacter, size};
}

bool is_valid_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint64_t eight = 0;
    if (bytes.size() - at >= sizeof eight) {
      std::memcpy(&eight, bytes.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    const Utf8Head head = read_utf8(bytes.substr(at));
    if (head.kind != Utf8Head::kCharacter) return false;
    at += head.size;
  }
  return true;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  Utf8Assembler assembler;
  std::string text = assembler.push(bytes);
  return text += assembler.finish();
}

void append_utf8(char32_t code, std::string& out) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

std::string Utf8Assembler::push(std::string_view bytes) {
  pending_.append(bytes);
  std::string text;
  text.reserve(pending_.size());
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Head head = read_utf8(rest);
    if (head.kind == Utf8Head::kIncomplete) break;
    text.append(head.kind == Utf8Head::kCharacter ? rest.substr(0, head.size) : kReplacementCharacter);
    rest.remove_prefix(head.size);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return text;
}

std::string Utf8Assembler::finish() {
  if (pending_.empty()) return {};
  pending_.clear();
  return std::string(kReplacementCharacter);
}

}  // namespace colonnade::engine
