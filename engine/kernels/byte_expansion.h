// Shuffles that put the kept ones of eight bytes in their places, for instruction sets without an expand instruction.
#pragma once

#include <cstdint>

namespace colonnade::engine {

struct ByteExpansion {
  /// By mask of 8 bits: for each place the number of the kept byte, or 0x80.
  std::uint8_t shuffles[256][8];
};

constexpr ByteExpansion make_byte_expansion() {
  ByteExpansion table{};
  for (unsigned mask = 0; mask < 256; ++mask) {
    std::uint8_t next = 0;
    for (unsigned i = 0; i < 8; ++i) table.shuffles[mask][i] = (mask >> i & 1u) != 0 ? next++ : 0x80;
  }
  return table;
}

/// Not inline: a copy for each file, so that none compiled for one instruction set serves the others.
constexpr ByteExpansion kByteExpansion = make_byte_expansion();

}  // namespace colonnade::engine
