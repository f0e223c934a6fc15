// "Give me rows and columns of tensor X as f32", however X is stored: plain F32, F16 or BF16, or sparse-bitmask
// (compressed-tensors, both generations of its names). Vectors are one row.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "shard/checkpoint.h"

namespace colonnade::shard {

/// Half-open ranges within a matrix.
struct Window {
  std::uint64_t first_row = 0;
  std::uint64_t n_rows = 0;
  std::uint64_t first_col = 0;
  std::uint64_t n_cols = 0;
};

/// One matrix or vector of a checkpoint, which must outlive it. Cheap to copy; read-only, so thread-safe.
class TensorRows {
 public:
  std::uint64_t rows() const { return rows_; }
  std::uint64_t cols() const { return cols_; }
  bool is_sparse() const { return bitmask_ != nullptr; }

  /// Writes the window to `out`, row-major with row stride `stride` floats. kCorrupt when a sparse row's bitmask
  /// disagrees with its row offsets: every row that is read is checked whole, so reading all rows checks the tensor.
  Status read(const Window& window, float* out, std::size_t stride) const;

 private:
  friend Result<TensorRows> find_tensor(const Checkpoint&, const std::string&, std::uint64_t, std::uint64_t);
  friend Result<TensorRows> find_stacked_tensor(const Checkpoint&, const std::string&, std::uint64_t, std::uint64_t, std::uint64_t);
  static Result<TensorRows> open_plain(const Checkpoint& checkpoint, const std::string& name,
                                       const std::vector<std::uint64_t>& shape);
  static Result<TensorRows> open_bitmask(const Checkpoint& checkpoint, const std::string& name,
                                         const std::string& prefix, std::uint64_t rows, std::uint64_t cols);
  Status read_sparse_row(std::uint64_t row, const Window& window, float* out) const;

  std::string name_;
  std::uint64_t rows_ = 0;
  std::uint64_t cols_ = 0;
  Dtype dtype_ = Dtype::kF32;
  const std::byte* values_ = nullptr;   // plain: all; sparse: the stored ones
  std::uint64_t n_values_ = 0;
  const std::byte* bitmask_ = nullptr;  // sparse only: ceil(cols / 8) bytes a row
  const std::byte* offsets_ = nullptr;  // sparse only: I64 a row
};

/// The weight or bias called `name` ("model.norm.weight"), which must have shape (rows, cols), or (cols) where rows
/// is 0. kNotFound, kCorrupt (shape, sizes, half of a layout) and kUnsupported (a layout that is not read here, by
/// name) say what was expected and found.
Result<TensorRows> find_tensor(const Checkpoint& checkpoint, const std::string& name, std::uint64_t rows,
                               std::uint64_t cols);

/// The plain tensor `name` of shape (slices, rows, cols), taken as one matrix of slices * rows rows.
Result<TensorRows> find_stacked_tensor(const Checkpoint& checkpoint, const std::string& name, std::uint64_t slices,
                                       std::uint64_t rows, std::uint64_t cols);

}  // namespace colonnade::shard
