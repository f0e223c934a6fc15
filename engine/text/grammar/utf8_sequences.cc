#include "engine/text/grammar/utf8_sequences.h"

#include <string>

#include "engine/text/utf8.h"


namespace colonnade::engine {
namespace {

/// Both ends have `size` bytes. Where the bytes after the first differing one do not run from 80 to BF, the range is cut
/// so that they do.
void append_same_size(char32_t first, char32_t last, std::vector<ByteSequence>& out) {
  for (char32_t bits = 6; bits <= 18; bits += 6) {
    const char32_t tail = (char32_t{1} << bits) - 1;
    if ((first & ~tail) == (last & ~tail)) break;
    if ((first & tail) != 0) {
      append_same_size(first, first | tail, out);
      return append_same_size((first | tail) + 1, last, out);
    }
    if ((last & tail) != tail) {
      append_same_size(first, (last & ~tail) - 1, out);
      return append_same_size(last & ~tail, last, out);
    }
  }
  std::string low, high;
  append_utf8(first, low);
  append_utf8(last, high);
  ByteSequence sequence;
  sequence.size = static_cast<int>(low.size());
  for (std::size_t i = 0; i < low.size(); ++i)
    sequence.ranges[i] = {static_cast<std::uint8_t>(low[i]), static_cast<std::uint8_t>(high[i])};
  out.push_back(sequence);
}

}  // namespace

void append_byte_sequences(CharRange range, std::vector<ByteSequence>& out) {
  char32_t first = range.first;
  for (const char32_t last_of_size : {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xFFFF}, char32_t{0x10FFFF}}) {
    if (first > last_of_size || first > range.last) continue;
    append_same_size(first, std::min(range.last, last_of_size), out);
    first = last_of_size + 1;
  }
}

}  // namespace colonnade::engine
