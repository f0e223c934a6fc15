// A step of an index-permute or gap strip as turned activations are multiplied with it. Plain structs only: included
// under instruction-set flags.
#pragma once

#include <cstdint>

#include "engine/formats/permute_layout.h"

namespace colonnade::engine {

/// Places of lines are their columns shifted by so many bits: in units of 8 bytes, which addresses are scaled by anyhow.
inline constexpr int kPlaceBits = 3;

/// Entries 4 l … 4 l + 3 are those of lane l.
struct alignas(64) UnpackedStep {
  std::uint16_t places[kPermuteStep];  // column of the group << kPlaceBits; of quads that of lane l: bytes from the group's first one
  std::int8_t values[kPermuteStep];
};

/// Bytes of a quad of columns in a turned group.
inline constexpr int kQuadPlaceBits = 8;

}  // namespace colonnade::engine
