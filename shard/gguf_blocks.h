// The blocks in which GGUF tensors are quantised, as they lie in the file, and what their numbers stand for. Layouts: ggml's
// ggml-common.h and gguf.md; MXFP4: OCP Microscaling Formats 1.0. Each block is decoded by itself; nothing in it can be invalid.
#pragma once

#include <cstddef>
#include <cstdint>

namespace colonnade::shard {

/// Numbers in a block of the older types, and in a super-block of the K types.
inline constexpr std::size_t kGgufBlock = 32;
inline constexpr std::size_t kGgufSuperBlock = 256;

/// f16 members are their bits.
struct BlockQ4_0 { std::uint16_t scale; std::uint8_t low_high[16]; };
struct BlockQ4_1 { std::uint16_t scale, least; std::uint8_t low_high[16]; };
struct BlockQ5_0 { std::uint16_t scale; std::uint8_t fifth[4], low_high[16]; };
struct BlockQ5_1 { std::uint16_t scale, least; std::uint8_t fifth[4], low_high[16]; };
struct BlockQ8_0 { std::uint16_t scale; std::int8_t values[32]; };
struct BlockIq4Nl { std::uint16_t scale; std::uint8_t low_high[16]; };
struct BlockMxfp4 { std::uint8_t exponent, low_high[16]; };
struct BlockQ2K { std::uint8_t scales[16], values[64]; std::uint16_t scale, least; };
struct BlockQ3K { std::uint8_t third[32], values[64], scales[12]; std::uint16_t scale; };
struct BlockQ4K { std::uint16_t scale, least; std::uint8_t scales[12], values[128]; };
struct BlockQ5K { std::uint16_t scale, least; std::uint8_t scales[12], fifth[32], values[128]; };
struct BlockQ6K { std::uint8_t low[128], high[64]; std::int8_t scales[16]; std::uint16_t scale; };
struct BlockIq4Xs { std::uint16_t scale, scales_high; std::uint8_t scales_low[4], values[128]; };

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24);
static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockIq4Nl) == 18 && sizeof(BlockMxfp4) == 17);
static_assert(sizeof(BlockQ2K) == 84 && sizeof(BlockQ3K) == 110 && sizeof(BlockQ4K) == 144 && sizeof(BlockQ5K) == 176);
static_assert(sizeof(BlockQ6K) == 210 && sizeof(BlockIq4Xs) == 136);

/// Each writes the 32 or 256 numbers of a block.
void decode(const BlockQ4_0& block, float* out);
void decode(const BlockQ4_1& block, float* out);
void decode(const BlockQ5_0& block, float* out);
void decode(const BlockQ5_1& block, float* out);
void decode(const BlockQ8_0& block, float* out);
void decode(const BlockIq4Nl& block, float* out);
void decode(const BlockMxfp4& block, float* out);
void decode(const BlockQ2K& block, float* out);
void decode(const BlockQ3K& block, float* out);
void decode(const BlockQ4K& block, float* out);
void decode(const BlockQ5K& block, float* out);
void decode(const BlockQ6K& block, float* out);
void decode(const BlockIq4Xs& block, float* out);

}  // namespace colonnade::shard
