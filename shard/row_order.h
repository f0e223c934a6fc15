// Rows of a tensor in another order: slices of stacks, and the two ways in which the numbers of a head are paired for rotation.
#pragma once

#include <cstdint>
#include <memory>

#include "shard/tensor_rows.h"

namespace colonnade::shard {

/// Row r is row first + r of `inner`.
std::shared_ptr<const RowReader> rows_from(std::shared_ptr<const RowReader> inner, std::uint64_t first);

/// The rows of each head, which `inner` has as 0, n/2, 1, n/2 + 1, … (neighbours are rotated together), in order. `head_dim` is
/// even.
std::shared_ptr<const RowReader> turned_rows(std::shared_ptr<const RowReader> inner, std::uint64_t head_dim);

/// The same for the numbers of a vector of `count`, which is all heads.
std::shared_ptr<const RowReader> turned_values(std::shared_ptr<const RowReader> inner, std::uint64_t count, std::uint64_t head_dim);

/// The rows of two stacks of slices of `n` rows as one of 2 n rows a slice: first 0, second 0, first 1, … or all of the first, then all
/// of the second.
std::shared_ptr<const RowReader> joined_rows(std::shared_ptr<const RowReader> first, std::shared_ptr<const RowReader> second, std::uint64_t n, bool interleaved);

/// The same for the numbers of rows of `n`.
std::shared_ptr<const RowReader> joined_values(std::shared_ptr<const RowReader> first, std::shared_ptr<const RowReader> second, std::uint64_t n, bool interleaved);

/// For each head the rows of its key's plain part, which `keys` has as columns (a row for each number of the latent), then those of its
/// value.
struct LatentHeads {
  std::uint64_t latent, plain, value;
};
std::shared_ptr<const RowReader> latent_head_rows(std::shared_ptr<const RowReader> keys, std::shared_ptr<const RowReader> values, LatentHeads sizes);

/// Every number plus `offset`.
std::shared_ptr<const RowReader> shifted_values(std::shared_ptr<const RowReader> inner, float offset);

}  // namespace colonnade::shard
