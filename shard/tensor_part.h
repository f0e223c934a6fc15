// Which part of a tensor is a matrix or vector of the model: all of it in most checkpoints; where several are stored as one
// (queries with keys and values, gate with up, all experts), some of its rows or columns.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "shard/tensor_rows.h"

namespace colonnade::shard {

/// Row r of the matrix is row source_row(r) of the tensor, or column where it is transposed. A vector's number i is
/// the number first + i * step of row slice_row.
struct TensorPart {
  std::string tensor;
  std::uint64_t first = 0;
  std::uint64_t step = 1;
  std::uint64_t slice_row = 0;  // where the expert's share begins in a tensor of all experts, taken as one of many rows
  bool transposed = false;      // the tensor has a row for each input
  std::uint64_t turned = 0;     // rows of a head, which the tensor has as 0, n/2, 1, n/2 + 1, …: neighbours are rotated together

  std::uint64_t source_row(std::uint64_t row) const {
    if (turned != 0) row = row - row % turned + row % turned % (turned / 2) * 2 + row % turned / (turned / 2);
    return first + row * step;
  }
};

/// Reads a window of the matrix `part` of `tensor` into `out`, row-major with row stride `stride`.
Status read_matrix_part(const TensorRows& tensor, const TensorPart& part, const Window& window, float* out, std::size_t stride);

/// Reads numbers [begin, begin + count) of the vector `part`.
Status read_vector_part(const TensorRows& tensor, const TensorPart& part, std::uint64_t begin, std::uint64_t count, float* out);

}  // namespace colonnade::shard
