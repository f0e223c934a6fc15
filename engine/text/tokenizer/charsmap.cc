#include "engine/text/tokenizer/charsmap.h"

#include <algorithm>

#include "engine/base/format_text.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t kMostReplacementBytes = 128;

// A unit of darts-clone: bits 0-7 the label (with bit 31, so that a value matches no label), bit 8 whether a value
// hangs below, bits 10-30 the offset of the children, shifted by 8 when bit 9 is set.
std::uint32_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
std::uint32_t label_of(std::uint32_t unit) { return unit & ((1u << 31) | 0xFF); }
bool has_value(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value_of(std::uint32_t unit) { return unit & ((1u << 31) - 1); }

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view bytes) {
  Charsmap map;
  if (bytes.empty()) return map;
  const std::size_t trie_bytes = bytes.size() < 4 ? 0 : little_endian(bytes, 0);
  if (bytes.size() < 4 || trie_bytes % 4 != 0 || trie_bytes > bytes.size() - 4) {
    return Error{ErrorCode::kCorrupt, text("charsmap: its trie must have a multiple of 4 bytes and fit into ",
                                           bytes.size(), " bytes, found ", trie_bytes)};
  }
  for (std::size_t at = 4; at < 4 + trie_bytes; at += 4) map.units_.push_back(little_endian(bytes, at));
  map.replacements_ = bytes.substr(4 + trie_bytes);
  return map;
}

Charsmap::Rule Charsmap::find(std::string_view text, Prefer prefer) const {
  Rule rule;
  if (units_.empty()) return rule;
  std::size_t node = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const std::uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_value(unit)) continue;
    const std::size_t begin = node < units_.size() ? value_of(units_[node]) : replacements_.size();
    if (begin > replacements_.size()) break;
    const std::string_view rest = std::string_view(replacements_).substr(begin);
    // No character of Unicode becomes more than 54 bytes; a file may not make text explode.
    rule = {i + 1, rest.substr(0, std::min(rest.find('\0'), kMostReplacementBytes))};
    if (prefer == Prefer::kShortest) break;
  }
  return rule;
}

}  // namespace colonnade::engine
