// Matrices of which only some values are stored, and a bit for each place says which: sparse-bitmask and sparse-24-bitmask of
// compressed-tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "shard/safetensors.h"
#include "shard/tensor_rows.h"

namespace colonnade::shard {

struct BitmaskLayout {
  std::string title;                    // of the tensor, for messages
  std::uint64_t rows = 0;
  std::uint64_t cols = 0;
  Dtype dtype = Dtype::kF32;
  const std::byte* values = nullptr;    // the stored ones, row after row
  std::uint64_t n_values = 0;
  const std::byte* bitmask = nullptr;   // ceil(cols / 8) bytes a row, the lowest bit first
  const std::byte* offsets = nullptr;   // I64 a row, where its values begin; nullptr: each row has cols / 2
};

/// Every row that is read is checked whole: its bits against its values.
std::shared_ptr<const RowReader> bitmask_rows(BitmaskLayout layout);

}  // namespace colonnade::shard
