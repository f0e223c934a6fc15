// Where no merge can reach across: long texts without a pre-tokenizer (Llama-2) fall apart into words there, exactly as if
// they had been merged whole, and words are fast.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/text/utf8.h"

namespace colonnade::engine {

/// The pairs of characters that stand left and right of the joint of some merge. Answers "may" for a few others, too.
class JointFilter {
 public:
  void add(std::string_view left, std::string_view right) {
    if (bits_.empty()) bits_.resize(kBits / 64);
    set(place(last_character(left), first_character(right)));
  }
  bool empty() const { return bits_.empty(); }

  /// Whether a merge may join what ends with the character `left` to what begins with `right`.
  bool may_join(std::string_view left, std::string_view right) const {
    const std::size_t bit = place(left, right);
    return (bits_[bit / 64] >> (bit % 64) & 1) != 0;
  }
  static std::string_view first_character(std::string_view text) {
    const Utf8Head head = read_utf8(text);
    return text.substr(0, head.kind == Utf8Head::kCharacter ? head.size : 1);
  }
  static std::string_view last_character(std::string_view text) {
    for (std::size_t size = 1; size <= 4 && size <= text.size(); ++size) {
      const std::string_view end = text.substr(text.size() - size);
      const Utf8Head head = read_utf8(end);
      if (head.kind == Utf8Head::kCharacter && head.size == size) return end;
    }
    return text.substr(text.size() - 1);
  }

 private:
  static constexpr std::size_t kBits = 1 << 20;
  static std::uint64_t number(std::string_view character) {
    std::uint64_t value = 0;
    for (const char c : character) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  static std::size_t place(std::string_view left, std::string_view right) {
    return static_cast<std::size_t>((number(left) << 32 | number(right)) * 0x9E3779B97F4A7C15 >> 44);
  }
  void set(std::size_t bit) { bits_[bit / 64] |= std::uint64_t{1} << (bit % 64); }
  std::vector<std::uint64_t> bits_;
};

}  // namespace colonnade::engine
