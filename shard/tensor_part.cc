#include "shard/tensor_part.h"

#include <vector>

namespace colonnade::shard {

Status read_matrix_part(const TensorRows& tensor, const TensorPart& part, const Window& window, float* out,
                        std::size_t stride) {
  if (window.n_rows == 0) return {};
  const std::uint64_t first = part.first + window.first_row * part.step;
  if (!part.transposed && part.step == 1 && part.turned == 0)
    return tensor.read({part.slice_row + first, window.n_rows, window.first_col, window.n_cols}, out, stride);
  if (!part.transposed) {
    for (std::uint64_t r = 0; r < window.n_rows; ++r)
      COLONNADE_TRY(tensor.read({part.slice_row + part.source_row(window.first_row + r), 1, window.first_col, window.n_cols},
                                out + r * stride, stride));
    return {};
  }
  const std::uint64_t width = (window.n_rows - 1) * part.step + 1;
  std::vector<float> inputs(window.n_cols * width);
  COLONNADE_TRY(tensor.read({part.slice_row + window.first_col, window.n_cols, first, width}, inputs.data(), width));
  for (std::uint64_t r = 0; r < window.n_rows; ++r)
    for (std::uint64_t c = 0; c < window.n_cols; ++c) out[r * stride + c] = inputs[c * width + r * part.step];
  return {};
}

Status read_vector_part(const TensorRows& tensor, const TensorPart& part, std::uint64_t begin, std::uint64_t count,
                        float* out) {
  if (count == 0) return {};
  const std::uint64_t first = part.first + begin * part.step;
  if (part.step == 1) return tensor.read({part.slice_row, 1, first, count}, out, count);
  const std::uint64_t width = (count - 1) * part.step + 1;
  std::vector<float> values(width);
  COLONNADE_TRY(tensor.read({part.slice_row, 1, first, width}, values.data(), width));
  for (std::uint64_t i = 0; i < count; ++i) out[i] = values[i * part.step];
  return {};
}

}  // namespace colonnade::shard
