// Integers of 1 to 8 bits in words of 32, the lowest first, stored with 2^(bits - 1) added: pack-quantized of compressed-tensors.
// Up to release 0.17 each word holds as many whole ones as fit; later they follow one another across words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "shard/tensor_rows.h"

namespace colonnade::shard {

struct FieldLayout {
  int bits = 0;
  bool across_words = false;

  /// Words of `count` fields.
  std::uint64_t words(std::uint64_t count) const;
};

/// Fields one after another in a column of a matrix of words (rows of `stride` words).
struct ColumnFields {
  FieldLayout layout = {};
  const std::byte* words = nullptr;
  std::uint64_t stride = 1;

  /// The integer number `i` of column `col`.
  int at(std::uint64_t i, std::uint64_t col) const;
};

/// Rows of `cols` codes in words.
std::shared_ptr<const RowReader> packed_rows(FieldLayout layout, const std::byte* words, std::uint64_t cols);

}  // namespace colonnade::shard
