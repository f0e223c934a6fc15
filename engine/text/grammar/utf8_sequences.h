// Ranges of characters as sequences of byte ranges: U+0080 … U+07FF is [C2-DF][80-BF].
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/text/grammar/grammar.h"

namespace colonnade::engine {

struct ByteInterval {
  std::uint8_t first;
  std::uint8_t last;
};

/// One to four byte ranges; every choice of a byte from each is one character.
struct ByteSequence {
  int size = 0;
  std::array<ByteInterval, 4> ranges{};
};

/// Appends the sequences of all characters from range.first to range.last, which has no surrogates.
void append_byte_sequences(CharRange range, std::vector<ByteSequence>& out);

}  // namespace colonnade::engine
