// Which patterns of zeros are asked for: "unstructured", "1x4", "2:4", "n:64".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace colonnade::shard {

/// Groups of `group` neighbouring columns of which each row keeps the same number; group 0: any pattern of units.
struct Structure {
  std::size_t group = 0;
  std::size_t kept = 0;  // of a group; 0: as many as the sparsity says
  std::size_t unit = 1;  // so many neighbouring columns of a row, from a multiple of so many on, go or stay together; 1 with groups

  bool any() const { return group == 0; }
  /// In rows of so many columns; the last one may be shorter.
  std::size_t units_of(std::size_t columns) const { return (columns + unit - 1) / unit; }
  /// Columns of a group of `columns` (fewer at the end of a row) that stay.
  std::size_t kept_of(std::size_t columns, double sparsity) const;

  bool operator==(const Structure&) const = default;
};

/// Columns of a group are within one block of columns that are pruned together.
inline constexpr std::size_t kMaxGroupColumns = 128;

/// kInvalidArgument names the text and what is allowed.
Result<Structure> parse_structure(std::string_view text);
std::string structure_text(const Structure& structure);

/// The number of zeros among `count` weights.
std::size_t count_zeros(std::size_t count, double sparsity);

/// keep[i] = 0 for the zeros smallest scores, 1 for the others; equal ones: the first go. `scratch` is overwritten.
void keep_largest(std::span<const float> scores, std::size_t zeros, std::span<float> scratch, std::uint8_t* keep);

}  // namespace colonnade::shard
