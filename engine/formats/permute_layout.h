// Byte layout of the index-permute strips: pairs of (value, index), for weights of which few are left. Constants and
// plain structs only, because kernels include this file under instruction-set flags.
//
// Columns come in groups of kWideGroup, which share one activation scale. A group is a run of steps. A step has a
// window of W columns that begins at its base, and for each of the 16 lanes four pairs: the lane's accumulator gains
// sum of value[i] * x[base + index[i]]. Free places hold the value 0. Windows slide with the columns that are left, so
// that rows of uneven density fill each other's time.
//
// In the own steps of a group lane r works for row r. In its shared steps, lanes whose row is finished work for
// another one: row r then gains the sum of lane donor[r] (if that is a lane), and its own lane's if bit r of `kept` is
// set. This is what keeps the steps of a group near the mean of its rows instead of their maximum.
//
//   PermuteHeader | PermuteGroup x groups | bases: 1 byte a step | 0 … 63 bytes | steps
//
// permute-int8: a step is 64 indices, then 64 values (int8). permute-int4: two steps are a block of 64 value bytes, the
// even step's in the high nibbles (two's complement) and the odd one's in the low, then their 64 indices each; the
// last 64 are left out where the number of steps is odd. Entry 4 * lane + i is the i-th of a lane.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/formats/format.h"

namespace colonnade::engine {

// gap-int4 says where an entry is by its distance from the lane's last one. A step is 64 bytes: entry 4 * lane + i has in
// its low nibble by how many columns the lane moves on, and in its high nibble the value there (two's complement). A
// larger distance takes an entry of value 0 for every 15 columns. Lanes begin a group's own steps at its column 0, and
// its shared ones where GapGroup::start says. The window of a step, 128 columns from its base on, holds all entries
// that are not 0; an index into it is a position less the base, modulo 128.
//
//   PermuteHeader | GapGroup x groups | bases: 1 byte a step | 0 … 63 bytes | steps

// quad-int8 and quad-int4 are for weights that are left in blocks of one row and four neighbouring columns, from a multiple of
// four on: quads. A step has one quad for each lane: its number within the group, and its four values, which lie as those of
// a permute step do. The window is the whole group, so each lane takes its quads in any order.
//
//   PermuteHeader | PermuteGroup x groups | quads: 16 bytes a step | 0 … 63 bytes | values: 64 bytes a step, or two steps

struct PermuteHeader {
  std::uint32_t n_steps;
  std::uint32_t window;  // 64, 128 or 256 columns; 512 of quads
  std::uint64_t reserved;
};

struct PermuteGroup {
  std::uint16_t scales[kStripRows];  // bf16, by row
  std::uint8_t donor[kStripRows];    // lane, or kNoDonor
  std::uint16_t kept;                // by lane
  std::uint16_t n_own, n_shared;     // steps
  std::uint16_t reserved;
};

struct GapGroup {
  PermuteGroup lanes;
  std::uint8_t start[kStripRows];  // column modulo 256 where a lane's shared steps begin
};

inline constexpr std::uint8_t kNoDonor = 0xff;
inline constexpr int kPermuteEntries = 4;                  // of a lane and step
inline constexpr std::size_t kPermuteStep = kStripRows * kPermuteEntries;
inline constexpr std::size_t kPermuteBaseUnit = 2;         // columns: bases of a group of 512 fit a byte
inline constexpr std::size_t kPermuteWindows[] = {64, 128, 256};

constexpr std::size_t permute_steps_offset(std::size_t n_groups, std::size_t n_steps) {
  const std::size_t end = sizeof(PermuteHeader) + n_groups * sizeof(PermuteGroup) + n_steps;
  return (end + kStripAlignment - 1) / kStripAlignment * kStripAlignment;
}
inline constexpr std::size_t kGapWindow = 128;
inline constexpr std::size_t kLargestGap = 15;
constexpr std::size_t gap_steps_offset(std::size_t n_groups, std::size_t n_steps) {
  const std::size_t end = sizeof(PermuteHeader) + n_groups * sizeof(GapGroup) + n_steps;
  return (end + kStripAlignment - 1) / kStripAlignment * kStripAlignment;
}
constexpr std::size_t permute_steps_bytes(std::size_t n_steps, bool int4) {
  return int4 ? n_steps / 2 * 3 * kPermuteStep + n_steps % 2 * 2 * kPermuteStep : n_steps * 2 * kPermuteStep;
}
/// Of the indices and of the value bytes of a step, from the first step on.
constexpr std::size_t permute_indices_at(std::size_t step, bool int4) {
  return int4 ? step / 2 * 3 * kPermuteStep + (step % 2 + 1) * kPermuteStep : step * 2 * kPermuteStep;
}
constexpr std::size_t permute_values_at(std::size_t step, bool int4) {
  return int4 ? step / 2 * 3 * kPermuteStep : step * 2 * kPermuteStep + kPermuteStep;
}

inline constexpr std::size_t kQuadColumns = kBlockWeights;
inline constexpr std::size_t kWideQuads = kWideGroup / kQuadColumns;
constexpr std::size_t quads_offset(std::size_t n_groups) { return sizeof(PermuteHeader) + n_groups * sizeof(PermuteGroup); }
constexpr std::size_t quad_values_offset(std::size_t n_groups, std::size_t n_steps) {
  const std::size_t end = quads_offset(n_groups) + n_steps * kStripRows;
  return (end + kStripAlignment - 1) / kStripAlignment * kStripAlignment;
}
constexpr std::size_t quad_values_bytes(std::size_t n_steps, bool int4) {
  return (int4 ? (n_steps + 1) / 2 : n_steps) * kPermuteStep;
}
constexpr std::size_t quad_values_at(std::size_t step, bool int4) { return (int4 ? step / 2 : step) * kPermuteStep; }

static_assert(kQuadColumns == kPermuteEntries && kWideQuads == 128);
static_assert(sizeof(PermuteHeader) == 16 && sizeof(PermuteGroup) == 56 && sizeof(GapGroup) == 72);
static_assert(kPermuteStep == 64 && kPermuteStep % kStripAlignment == 0);
static_assert(kWideGroup / kPermuteBaseUnit <= 256);

}  // namespace colonnade::engine
