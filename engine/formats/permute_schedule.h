// Which (value, index) pair goes into which step of an index-permute strip, and how wide the windows are: the work of
// the encoder. See permute_layout.h for what steps are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/formats/permute_layout.h"

namespace colonnade::engine {

struct PermuteEntry {
  std::uint16_t column;  // within the group
  std::int8_t value;
};
/// The entries of a group's rows, columns ascending.
using PermuteRows = std::array<std::vector<PermuteEntry>, kStripRows>;

struct PermuteStep {
  std::uint8_t base;  // in kPermuteBaseUnit
  std::array<std::uint8_t, kPermuteStep> indices;
  std::array<std::int8_t, kPermuteStep> values;
  std::array<std::uint8_t, kStripRows> n_entries;  // of each lane; its other places are free
};

struct PermuteSchedule {
  std::array<std::uint8_t, kStripRows> donor;
  std::uint16_t kept = 0;
  std::size_t n_own = 0;
  std::vector<PermuteStep> steps;  // the own ones first
};

/// How wide windows are, and which multiples of columns they begin at: a multiple of kPermuteBaseUnit. Loads that cross
/// cache lines cost twice, so 64 is fast and 2 is dense.
struct PermuteWindows {
  std::size_t columns;
  std::size_t unit;
};

/// A schedule with few steps.
PermuteSchedule schedule_group(const PermuteRows& rows, const PermuteWindows& windows);

}  // namespace colonnade::engine
