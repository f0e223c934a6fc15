#include "engine/text/grammar/code_points.h"

#include "engine/text/utf8.h"

namespace colonnade::engine {

std::optional<CodePoint> first_code_point(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  const Utf8Head head = read_utf8(bytes);
  if (head.kind != Utf8Head::kCharacter) return std::nullopt;
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(bytes[i])); };
  if (head.size == 1) return CodePoint{byte(0), 1};
  char32_t value = byte(0) & (0x7Fu >> head.size);
  for (std::size_t i = 1; i < head.size; ++i) value = value << 6 | (byte(i) & 0x3F);
  return CodePoint{value, head.size};
}

std::u32string code_points(std::string_view bytes) {
  std::u32string out;
  const std::string valid = replace_invalid_utf8(bytes);
  for (std::string_view rest = valid; !rest.empty();) {
    const auto next = first_code_point(rest);
    out += next->value;
    rest.remove_prefix(next->size);
  }
  return out;
}

}  // namespace colonnade::engine
