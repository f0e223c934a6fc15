// Weights that are stored as codes (small integers or 8-bit floats) and scales: weight = (code - zero point) * scale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "shard/packed_fields.h"
#include "shard/safetensors.h"
#include "shard/tensor_rows.h"

namespace colonnade::shard {

/// Which scale a weight has: that of (row / block_rows, column / block_cols), or (row / block_rows, group_of[column]).
struct ScaleGrid {
  Dtype dtype = Dtype::kF32;
  const std::byte* scales = nullptr;     // (…, cols) values
  std::uint64_t cols = 1;
  std::uint64_t block_rows = 1;
  std::uint64_t block_cols = 1;
  const std::byte* group_of = nullptr;   // I32 for each column of the weight, each below `cols`; nullptr: as above
};

/// Zero points: one for each scale.
struct ZeroPoints {
  Dtype dtype = Dtype::kI8;
  const std::byte* values = nullptr;     // as the scales; nullptr: none of this kind
  ColumnFields packed = {};              // packed along the rows
};

std::shared_ptr<const RowReader> scaled_rows(std::shared_ptr<const RowReader> codes, const ScaleGrid& grid, const ZeroPoints& zero_points);

}  // namespace colonnade::shard
