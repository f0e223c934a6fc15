// Byte layout of the dense strips: the one place that encoders, decoders and kernels share. Constants only, because
// kernels include this file under instruction-set flags.
#pragma once

#include <cstddef>

#include "engine/formats/format.h"

namespace colonnade::engine {

/// f32: per column the 16 rows as floats. Columns padded to 4, the number of accumulation chains.
inline constexpr std::size_t kF32ColumnGranule = 4;
inline constexpr std::size_t kF32ColumnBytes = kStripRows * sizeof(float);

/// bf16: per pair of columns 16 words of 32 bits, the even column in the low half and the odd one in the high half,
/// so that one shift or one mask makes a vector of floats.
inline constexpr std::size_t kBf16ColumnGranule = 4;
inline constexpr std::size_t kBf16PairBytes = kStripRows * 2 * sizeof(std::uint16_t);

/// int8: 16 row scales (f32), then per 4 columns 16 words of 4 bytes: the row's weights of those columns plus 128.
/// Unsigned because the 8-bit dot-product instruction wants one unsigned operand.
inline constexpr std::size_t kInt8ColumnGranule = 4;
inline constexpr std::size_t kInt8HeaderBytes = kStripRows * sizeof(float);
inline constexpr std::size_t kInt8QuadBytes = kStripRows * kInt8ColumnGranule;
inline constexpr int kInt8Zero = 128;   // the byte that stands for a weight of 0
inline constexpr int kInt8Largest = 127;

static_assert(kF32ColumnBytes % kStripAlignment == 0);
static_assert(kBf16PairBytes % kStripAlignment == 0);
static_assert(kInt8HeaderBytes % kStripAlignment == 0 && kInt8QuadBytes % kStripAlignment == 0);
static_assert(kActivationGroup % kInt8ColumnGranule == 0);

}  // namespace colonnade::engine
