#include "shard/tensor_rows.h"

#include <utility>

namespace colonnade::shard {

TensorRows::TensorRows(std::string name, std::string file, Shape shape, StoredForm form, std::shared_ptr<const RowReader> reader)
    : name_(std::move(name)), file_(std::move(file)), shape_(std::move(shape)), form_(std::move(form)), reader_(std::move(reader)) {
  cols_ = shape_.empty() ? 1 : shape_.back();
  rows_ = 1;
  for (std::size_t i = 0; i + 1 < shape_.size(); ++i) rows_ *= shape_[i];
}

Status TensorRows::read(const Window& window, float* out, std::size_t stride) const {
  COLONNADE_CHECK(window.first_row + window.n_rows <= rows_ && window.first_col + window.n_cols <= cols_,
                  "a window outside of tensor " + name_);
  for (std::uint64_t r = 0; r < window.n_rows; ++r)
    COLONNADE_TRY(reader_->read(first_row_ + (window.first_row + r) * row_step_, window.first_col, window.n_cols, out + r * stride));
  return {};
}

TensorRows TensorRows::pick_rows(std::uint64_t first, std::uint64_t count, std::uint64_t step) const {
  COLONNADE_CHECK(count == 0 || first + (count - 1) * step < rows_, "rows picked outside of tensor " + name_);
  TensorRows picked = *this;
  picked.first_row_ = first_row_ + first * row_step_;
  picked.row_step_ = row_step_ * step;
  picked.rows_ = count;
  picked.shape_ = {count, cols_};
  picked.form_.bytes = rows_ == 0 ? 0 : form_.bytes / rows_ * count;
  return picked;
}

}  // namespace colonnade::shard
