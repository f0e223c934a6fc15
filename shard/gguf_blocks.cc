// Blocks of 32 numbers. Number i and number i + 16 share a byte: the low and the high four bits.
#include "shard/gguf_blocks.h"

#include "shard/float8.h"
#include "shard/gguf_iq4.h"
#include "shard/half.h"

namespace colonnade::shard {
namespace {

constexpr std::size_t kHalf = kGgufBlock / 2;

/// out[i] = value(the four bits of number i, i).
template <typename Value>
void decode_nibbles(const std::uint8_t (&low_high)[kHalf], float* out, Value value) {
  for (std::size_t i = 0; i < kHalf; ++i) {
    out[i] = value(low_high[i] & 15u, i);
    out[i + kHalf] = value(static_cast<unsigned>(low_high[i]) >> 4, i + kHalf);
  }
}

/// The fifth bits of 32 numbers: bit i of four bytes.
unsigned fifth_bit(const std::uint8_t (&fifth)[4], std::size_t i) { return (static_cast<unsigned>(fifth[i / 8]) >> i % 8 & 1u) << 4; }

float number(unsigned value) { return static_cast<float>(value); }

}  // namespace

void decode(const BlockQ4_0& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  decode_nibbles(block.low_high, out, [&](unsigned q, std::size_t) { return (number(q) - 8.0f) * scale; });
}

void decode(const BlockQ4_1& block, float* out) {
  const float scale = f16_to_f32(block.scale), least = f16_to_f32(block.least);
  decode_nibbles(block.low_high, out, [&](unsigned q, std::size_t) { return number(q) * scale + least; });
}

void decode(const BlockQ5_0& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  decode_nibbles(block.low_high, out,
                 [&](unsigned q, std::size_t i) { return (number(q | fifth_bit(block.fifth, i)) - 16.0f) * scale; });
}

void decode(const BlockQ5_1& block, float* out) {
  const float scale = f16_to_f32(block.scale), least = f16_to_f32(block.least);
  decode_nibbles(block.low_high, out,
                 [&](unsigned q, std::size_t i) { return number(q | fifth_bit(block.fifth, i)) * scale + least; });
}

void decode(const BlockQ8_0& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  for (std::size_t i = 0; i < kGgufBlock; ++i) out[i] = static_cast<float>(block.values[i]) * scale;
}

void decode(const BlockIq4Nl& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  decode_nibbles(block.low_high, out, [&](unsigned q, std::size_t) { return kIq4Values[q] * scale; });
}

void decode(const BlockMxfp4& block, float* out) {
  const float scale = e8m0_to_f32(block.exponent);
  decode_nibbles(block.low_high, out, [&](unsigned q, std::size_t) { return kE2m1[q] * scale; });
}

}  // namespace colonnade::shard
