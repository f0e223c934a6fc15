// The formats that this build has; registry.cc lists them. Each lives in a source file of its own.
#pragma once

#include "engine/formats/format.h"

namespace colonnade::engine {

const Format& f32_format();
const Format& bf16_format();
const Format& int8_format();
const Format& int4_format();
const Format& bitmask_bf16_format();
const Format& bitmask_int8_format();
const Format& bitmask_int4_format();
const Format& permute_int8_format();
const Format& permute_int4_format();
const Format& gap_int4_format();
const Format& quad_int8_format();
const Format& quad_int4_format();

/// `cols` rounded up to a multiple of `granule`.
constexpr std::size_t padded_cols(std::size_t cols, std::size_t granule) {
  return (cols + granule - 1) / granule * granule;
}

/// Bytes of a strip, rounded up to where the next one may begin.
constexpr std::size_t round_up_strip(std::size_t bytes) { return padded_cols(bytes, kStripGranule); }

}  // namespace colonnade::engine
