// Reads what a source of tensors offers, within limits: whole rows, and columns one by one, which must then be readable, too.
#pragma once

#include <vector>

#include "shard/tensor_source.h"

namespace colonnade::tests {

inline void read_tensors(const shard::TensorSource& source) {
  constexpr std::uint64_t kMostRows = 64, kMostCols = 4096, kMostTensors = 200;
  std::uint64_t n = 0;
  for (const std::string& name : source.names()) {
    if (++n > kMostTensors) return;
    const auto tensor = source.open(name);
    if (!tensor.ok() || tensor->rows() == 0 || tensor->cols() == 0 || tensor->cols() > kMostCols) continue;
    std::vector<float> out(tensor->cols());
    for (std::uint64_t r = 0; r < tensor->rows() && r < kMostRows; ++r) {
      if (!tensor->read({r, 1, 0, tensor->cols()}, out.data(), tensor->cols()).ok()) continue;
      for (std::uint64_t c = 0; c < tensor->cols(); c += 1 + tensor->cols() / 8)
        if (!tensor->read({r, 1, c, 1}, out.data(), 1).ok()) __builtin_trap();
    }
    // The last row is the one that overflows.
    (void)tensor->read({tensor->rows() - 1, 1, 0, tensor->cols()}, out.data(), tensor->cols()).ok();
  }
}

}  // namespace colonnade::tests
