// How pruned matrices are written: as the tensors that they are parts of, dense with their zeros, or as a bitmask and the values
// that are left.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "shard/prune/compute.h"
#include "shard/prune/safetensors_file.h"
#include "shard/source_model.h"

namespace colonnade::shard {

enum class PrunedLayout {
  kDense,    // BF16 with zeros: every tool reads it
  kBitmask,  // sparse-bitmask of compressed-tensors 0.9 and later: 1 bit a weight, and 16 for each that is left
};

/// "dense" or "sparse-bitmask"; kInvalidArgument names the others.
Result<PrunedLayout> parse_pruned_layout(std::string_view text);
const char* pruned_layout_name(PrunedLayout layout);

struct MatrixShape {
  std::size_t rows, cols;
};

/// Puts matrices back into tensors with the names and shapes of the source. Both arguments must outlive it.
class PrunedTensors {
 public:
  PrunedTensors(const SourceModel& model, PrunedLayout layout, SafetensorsFile& file) : model_(model), layout_(layout), file_(file) {}

  /// Rows of a whole matrix of that shape, in bf16. What no matrix is put into keeps the source's numbers, rounded to bf16.
  Status put(const TensorPart& part, MatrixShape whole, RowRange rows, std::span<const std::uint16_t> values);
  /// Adds what is left to the file. After the last put().
  void finish();

 private:
  struct Pending {
    Shape shape;
    std::size_t cols = 0;
    std::vector<std::uint16_t> values;  // bf16
    std::size_t filled = 0;             // of them, from matrices
  };
  void add(const std::string& name, const Pending& tensor);

  const SourceModel& model_;
  PrunedLayout layout_;
  SafetensorsFile& file_;
  std::map<std::string, Pending> pending_;
};

}  // namespace colonnade::shard
