// How the entries of 16 rows are shared out over 16 lanes of a group: see permute_layout.h for own and shared steps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/formats/permute_layout.h"

namespace colonnade::engine {

struct LaneShares {
  /// Entries [begin, end) of a row.
  struct Part {
    std::size_t row = 0, begin = 0, end = 0;
    std::size_t size() const { return end - begin; }
  };
  std::array<Part, kStripRows> own, shared;  // by lane
  std::array<std::uint8_t, kStripRows> donor;
  std::uint16_t kept = 0;
};

/// Own steps take the first `quota` entries of each row; the rest is shared out in pairs, the row with the most left and the
/// one with the fewest. counts: entries of each row.
LaneShares share_lanes(const std::array<std::size_t, kStripRows>& counts, std::size_t quota);

}  // namespace colonnade::engine
