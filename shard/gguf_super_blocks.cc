// Super-blocks of 256 numbers: groups of 16 or 32 whose scales (and least values) are small integers times one scale (and one
// least value) of the super-block.
#include "shard/gguf_blocks.h"
#include "shard/gguf_iq4.h"
#include "shard/half.h"

namespace colonnade::shard {
namespace {

float number(unsigned value) { return static_cast<float>(value); }

/// Q4_K and Q5_K: eight scales and eight least values of six bits in twelve bytes. The first four of each have a byte, whose
/// upper two bits are the upper two of the last four.
struct ScaleAndLeast {
  float scale, least;
};
ScaleAndLeast scale_and_least(const std::uint8_t (&packed)[12], std::size_t group) {
  if (group < 4) return {number(packed[group] & 63u), number(packed[group + 4] & 63u)};
  const unsigned low = packed[group + 4];
  const unsigned scale = (low & 15u) | static_cast<unsigned>(packed[group - 4]) >> 6 << 4;
  const unsigned least = low >> 4 | static_cast<unsigned>(packed[group]) >> 6 << 4;
  return {number(scale), number(least)};
}

}  // namespace

// Two halves of 128 numbers, each in 32 bytes: group pairs take two bits of every byte, from the lowest up.
void decode(const BlockQ2K& block, float* out) {
  const float scale = f16_to_f32(block.scale), least = f16_to_f32(block.least);
  for (std::size_t i = 0; i < kGgufSuperBlock; ++i) {
    const unsigned bits = static_cast<unsigned>(block.values[i / 128 * 32 + i % 32]) >> i % 128 / 32 * 2 & 3u;
    const unsigned group = block.scales[i / 16];
    out[i] = scale * number(group & 15u) * number(bits) - least * number(group >> 4);
  }
}

// As Q2_K, with a third bit apart: bit i / 32 of byte i % 32; where it is not set the value is lower by four. Sixteen scales of
// six bits in twelve bytes: the low four bits in the first eight bytes, the upper two in the last four.
void decode(const BlockQ3K& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  float scales[16];
  for (std::size_t group = 0; group < 16; ++group) {
    const unsigned low = group < 8 ? block.scales[group] & 15u : static_cast<unsigned>(block.scales[group - 8]) >> 4;
    const unsigned high = static_cast<unsigned>(block.scales[8 + group % 4]) >> group / 4 * 2 & 3u;
    scales[group] = scale * (number(low | high << 4) - 32.0f);
  }
  for (std::size_t i = 0; i < kGgufSuperBlock; ++i) {
    const unsigned bits = static_cast<unsigned>(block.values[i / 128 * 32 + i % 32]) >> i % 128 / 32 * 2 & 3u;
    const bool third = (static_cast<unsigned>(block.third[i % 32]) >> i / 32 & 1u) != 0;
    out[i] = scales[i / 16] * (number(bits) - (third ? 0.0f : 4.0f));
  }
}

// Four runs of 32 bytes; the low four bits are one group of 32 numbers, the high four bits the next.
void decode(const BlockQ4K& block, float* out) {
  const float scale = f16_to_f32(block.scale), least = f16_to_f32(block.least);
  for (std::size_t group = 0; group < 8; ++group) {
    const ScaleAndLeast of_group = scale_and_least(block.scales, group);
    for (std::size_t i = 0; i < 32; ++i) {
      const unsigned bits = static_cast<unsigned>(block.values[group / 2 * 32 + i]) >> group % 2 * 4 & 15u;
      out[group * 32 + i] = scale * of_group.scale * number(bits) - least * of_group.least;
    }
  }
}

// As Q4_K, with a fifth bit apart: bit `group` of byte i.
void decode(const BlockQ5K& block, float* out) {
  const float scale = f16_to_f32(block.scale), least = f16_to_f32(block.least);
  for (std::size_t group = 0; group < 8; ++group) {
    const ScaleAndLeast of_group = scale_and_least(block.scales, group);
    for (std::size_t i = 0; i < 32; ++i) {
      const unsigned low = static_cast<unsigned>(block.values[group / 2 * 32 + i]) >> group % 2 * 4 & 15u;
      const unsigned bits = low | (static_cast<unsigned>(block.fifth[i]) >> group & 1u) << 4;
      out[group * 32 + i] = scale * of_group.scale * number(bits) - least * of_group.least;
    }
  }
}

// Two halves of 128 numbers, each of four runs of 32: the low four bits of runs 0 and 2, 1 and 3 share bytes, and so do the
// upper two bits of all four.
void decode(const BlockQ6K& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  for (std::size_t i = 0; i < kGgufSuperBlock; ++i) {
    const std::size_t half = i / 128, run = i % 128 / 32, at = i % 32;
    const unsigned low = static_cast<unsigned>(block.low[half * 64 + run % 2 * 32 + at]) >> run / 2 * 4 & 15u;
    const unsigned high = static_cast<unsigned>(block.high[half * 32 + at]) >> run * 2 & 3u;
    out[i] = scale * static_cast<float>(block.scales[i / 16]) * (number(low | high << 4) - 32.0f);
  }
}

// Eight groups of 32 as IQ4_NL has them; scales of six bits, the upper two in scales_high.
void decode(const BlockIq4Xs& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  for (std::size_t group = 0; group < 8; ++group) {
    const unsigned low = static_cast<unsigned>(block.scales_low[group / 2]) >> group % 2 * 4 & 15u;
    const unsigned high = static_cast<unsigned>(block.scales_high) >> group * 2 & 3u;
    const float of_group = scale * (number(low | high << 4) - 32.0f);
    for (std::size_t i = 0; i < 16; ++i) {
      const unsigned bits = block.values[group * 16 + i];
      out[group * 32 + i] = of_group * kIq4Values[bits & 15u];
      out[group * 32 + 16 + i] = of_group * kIq4Values[bits >> 4];
    }
  }
}

}  // namespace colonnade::shard
