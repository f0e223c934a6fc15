// What index-permute, gap and quad formats share: the weights of a strip that are left, as entries, quantised with one bf16
// scale for each row and kWideGroup columns; and where the parts of a strip lie.
#pragma once

#include <cstddef>
#include <cstring>

#include "engine/formats/builtin_formats.h"
#include "engine/formats/permute_layout.h"
#include "engine/formats/permute_schedule.h"

namespace colonnade::engine {

/// Group `g` of a strip's columns: sets the scales, and no donors, of `group`; entries that round to 0 are left out.
/// `weights` is (n_rows, cols) with row stride `stride`. int4: values -8 … 7, else -127 … 127.
PermuteRows quantize_group(const float* weights, std::size_t stride, int n_rows, std::size_t g, std::size_t cols, bool int4,
                           PermuteGroup& group);

/// Groups of a strip's columns.
constexpr std::size_t n_wide_groups(std::size_t cols) { return padded_cols(cols, kWideGroup) / kWideGroup; }

inline PermuteHeader permute_header(const std::byte* strip) {
  PermuteHeader header;
  std::memcpy(&header, strip, sizeof(header));
  return header;
}

/// The strip's groups of a kind (PermuteGroup, GapGroup), and the bases of its steps behind them.
template <class Group>
Group permute_group(const std::byte* strip, std::size_t index) {
  Group group;
  std::memcpy(&group, strip + sizeof(PermuteHeader) + index * sizeof(group), sizeof(group));
  return group;
}
template <class Group>
const std::byte* permute_bases(const std::byte* strip, std::size_t n_groups) {
  return strip + sizeof(PermuteHeader) + n_groups * sizeof(Group);
}

/// Calls add(step, lane, g, group) for every lane that works for row `row` in a step of a strip of PermuteGroups.
template <class Add>
void for_lanes_of_row(const std::byte* strip, std::size_t row, std::size_t cols, const Add& add) {
  std::size_t step = 0;
  for (std::size_t g = 0; g < n_wide_groups(cols); ++g) {
    const auto group = permute_group<PermuteGroup>(strip, g);
    const std::size_t shared = step + group.n_own, end = shared + group.n_shared;
    for (; step < end; ++step) {
      if (step < shared || (group.kept >> row & 1u) != 0) add(step, row, g, group);
      if (step >= shared && group.donor[row] < kStripRows) add(step, std::size_t{group.donor[row]}, g, group);
    }
  }
}

/// Whether the scales of a group are finite and its donors lanes.
bool lanes_are_valid(const PermuteGroup& group);
/// Whether every window of the steps lies within its group.
bool bases_are_valid(const std::byte* bases, std::size_t n_steps, std::size_t window);

}  // namespace colonnade::engine
