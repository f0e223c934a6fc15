// "Give me rows and columns of tensor X as f32", however X is stored. Vectors are one row; the rows of a stack of matrices
// follow one another. Who opens tensors by name is a TensorSource (shard/tensor_source.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "shard/shape.h"

namespace colonnade::shard {

/// Half-open ranges within a matrix.
struct Window {
  std::uint64_t first_row = 0;
  std::uint64_t n_rows = 0;
  std::uint64_t first_col = 0;
  std::uint64_t n_cols = 0;
};

/// How a tensor lies in its file, for people and for reports.
struct StoredForm {
  std::string name = {};    // "BF16", "sparse-bitmask BF16", "Q4_K", "int4 in groups of 128"
  std::uint64_t bytes = 0;  // with its scales and masks
  bool sparse = false;      // zeros are not stored
  bool outputs_first = false;  // a stack whose rows are outputs, also where transformers' own has inputs
};

/// Decodes one stored form. Refers to bytes that somebody else keeps; read-only, so thread-safe.
class RowReader {
 public:
  virtual ~RowReader() = default;
  /// Writes columns [first_col, first_col + n_cols) of a row, which are within the tensor. kCorrupt names the tensor, the
  /// expected and the found value.
  virtual Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const = 0;
};

/// One tensor of a source, which must outlive it. Cheap to copy; read-only, so thread-safe.
class TensorRows {
 public:
  /// `file` is where it lies, for messages.
  TensorRows(std::string name, std::string file, Shape shape, StoredForm form, std::shared_ptr<const RowReader> reader);

  const std::string& name() const { return name_; }
  const std::string& file() const { return file_; }
  const Shape& shape() const { return shape_; }
  std::uint64_t rows() const { return rows_; }  // the product of all dimensions but the last
  std::uint64_t cols() const { return cols_; }  // the last dimension
  const StoredForm& form() const { return form_; }
  bool is_sparse() const { return form_.sparse; }

  /// Writes the window to `out`, row-major with row stride `stride` floats. Errors are those of the form: what is read of a
  /// row is checked, so reading all rows checks the tensor.
  Status read(const Window& window, float* out, std::size_t stride) const;

  /// A matrix of `count` of these rows, every `step`th from `first` on: one expert of a stack, one of two interleaved matrices.
  TensorRows pick_rows(std::uint64_t first, std::uint64_t count, std::uint64_t step = 1) const;

 private:
  std::string name_;
  std::string file_;
  Shape shape_;
  std::uint64_t rows_ = 0;
  std::uint64_t cols_ = 0;
  StoredForm form_;
  std::shared_ptr<const RowReader> reader_;
  std::uint64_t first_row_ = 0;
  std::uint64_t row_step_ = 1;
};

}  // namespace colonnade::shard
