// Byte layout of the strips, but for the index-permute ones (permute_layout.h): the one place that encoders, decoders
// and kernels share. Constants and plain structs only, because kernels include this file under instruction-set flags.
// docs/formats.md shows the layouts with bits per weight.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/formats/format.h"

namespace colonnade::engine {

/// f32: per column the 16 rows as floats. Columns padded to 4, the number of accumulation chains.
inline constexpr std::size_t kF32ColumnGranule = 4;
inline constexpr std::size_t kF32ColumnBytes = kStripRows * sizeof(float);

/// bf16: per pair of columns 16 words of 32 bits, the even column in the low half and the odd one in the high half,
/// so that one shift or one mask makes a vector of floats.
inline constexpr std::size_t kBf16ColumnGranule = 4;
inline constexpr std::size_t kBf16PairBytes = kStripRows * 2 * sizeof(std::uint16_t);

/// int8: 16 row scales (f32), then quads: per 4 columns 16 words of 4 bytes, the row's weights of those columns plus
/// 128. Unsigned because the 8-bit dot-product instruction wants one unsigned operand.
inline constexpr std::size_t kInt8ColumnGranule = 4;
inline constexpr std::size_t kInt8HeaderBytes = kStripRows * sizeof(float);
inline constexpr std::size_t kInt8QuadBytes = kStripRows * kInt8ColumnGranule;
inline constexpr int kInt8Zero = 128;   // the byte that stands for a weight of 0
inline constexpr int kInt8Largest = 127;

/// Quads of an activation group, and their bytes once they are int8.
inline constexpr std::uint32_t kGroupQuads = kActivationGroup / kInt8ColumnGranule;
inline constexpr std::size_t kGroupBytes = kGroupQuads * kInt8QuadBytes;

/// int4: a weight is (nibble - 8) * scale. Kernels turn a nibble into the byte 16 * nibble, which has the zero point of
/// int8; the scales that they read are therefore divided by 16 beforehand.
inline constexpr int kInt4Zero = 8;

/// Dense int4: per 128 columns a block of bf16 scales and 16 x 64 bytes. Byte j of quad i is byte j of the int8 quad i
/// of the first 64 columns in its high nibble, and of the last 64 columns in its low nibble. Columns padded to 128.
struct Int4Block {
  std::uint16_t scales[kStripRows][2];  // bf16, by row, of the first and the last 64 columns
  std::byte quads[kGroupQuads][kInt8QuadBytes];
};
inline constexpr std::size_t kInt4BlockColumns = 2 * kActivationGroup;

/// Where 64 or fewer columns are left, the last block is half a block: quads 0 … 7 of those columns in the high nibbles,
/// 8 … 15 in the low ones.
struct Int4HalfBlock {
  std::uint16_t scales[kStripRows];  // bf16, by row
  std::byte quads[kGroupQuads / 2][kInt8QuadBytes];
};
constexpr std::size_t n_whole_int4_blocks(std::size_t cols) { return (cols + kActivationGroup - 1) / kInt4BlockColumns; }
constexpr bool has_half_int4_block(std::size_t cols) { return cols > n_whole_int4_blocks(cols) * kInt4BlockColumns; }

/// Bitmask: bit (4 * row + column % 4) of mask `column / 4` says whether the weight is kept; kept ones follow each other
/// in that order. All masks of a strip come first, then the values.

/// bitmask-int8: 16 row scales (f32), masks of whole groups, values as weight + 128.
struct BitmaskGroup {
  std::uint64_t masks[kGroupQuads];
};

/// bitmask-int4: two value streams share the bytes of a block: the kept weights of its first 64 columns lie in high
/// nibbles, those of the last 64 in low nibbles. The next block begins after the longer of the two.
struct BitmaskInt4Block {
  std::uint16_t scales[kStripRows];  // bf16, by row
  std::uint64_t masks[2][kGroupQuads];
};

/// The last block where 64 or fewer columns are left: quads 0 … 7 have their values in high nibbles, 8 … 15 in low ones.
struct BitmaskInt4HalfBlock {
  std::uint16_t scales[kStripRows];
  std::uint64_t masks[kGroupQuads];
};

/// bitmask-bf16: a mask of 16 bits (the rows) for each column, columns padded to 32; values are bf16.
inline constexpr std::size_t kBitmaskBf16Granule = 32;

static_assert(kF32ColumnBytes % kStripAlignment == 0);
static_assert(kBf16PairBytes % kStripAlignment == 0);
static_assert(kInt8HeaderBytes % kStripAlignment == 0 && kInt8QuadBytes % kStripAlignment == 0);
static_assert(kActivationGroup % kInt8ColumnGranule == 0);
static_assert(sizeof(Int4Block) == 64 + 1024);
static_assert(sizeof(BitmaskGroup) == 128);
static_assert(sizeof(BitmaskInt4Block) == 32 + 256);
static_assert(sizeof(Int4HalfBlock) == 32 + 512 && sizeof(BitmaskInt4HalfBlock) == 32 + 128);
static_assert(sizeof(BitmaskInt4Block) % kStripGranule == 0 && sizeof(BitmaskInt4HalfBlock) % kStripGranule == 0);
static_assert(sizeof(Int4HalfBlock) % kStripGranule == 0);
static_assert(kBitmaskBf16Granule * sizeof(std::uint16_t) % kStripAlignment == 0);

}  // namespace colonnade::engine
