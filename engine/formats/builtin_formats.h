// The formats that this build has; registry.cc lists them. Each lives in a source file of its own.
#pragma once

#include "engine/formats/format.h"

namespace colonnade::engine {

const Format& f32_format();
const Format& bf16_format();
const Format& int8_format();

/// `cols` rounded up to a multiple of `granule`.
constexpr std::size_t padded_cols(std::size_t cols, std::size_t granule) {
  return (cols + granule - 1) / granule * granule;
}

}  // namespace colonnade::engine
