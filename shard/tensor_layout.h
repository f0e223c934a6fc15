// Which layout of compressed-tensors a module of a checkpoint has, told by the tensors that are present, and the
// checks of the sparse ones.
#pragma once

#include <string>

#include "engine/base/result.h"
#include "shard/checkpoint.h"

namespace colonnade::shard {

/// "m" of "m.weight"; "" of other names.
std::string module_of_weight(const std::string& name);

/// The weight to which the tensor `name` of a checkpoint belongs: "m.weight" for "m.bitmask"; `name` itself when it is one; ""
/// for what is no part of a weight, such as scales of activations.
std::string weight_of_part(const std::string& name);

/// kUnsupported names a layout that is recognised but not read.
Status refuse_layouts(const Checkpoint& checkpoint, const std::string& module);

/// The prefix of the sparse tensors that stand for the weight `name`: its module from release 0.9.0 on
/// ("m" for "m.weight"), the whole name before. "" when the weight is not stored so. kCorrupt: a module with half of its tensors.
Result<std::string> sparse_prefix(const Checkpoint& checkpoint, const std::string& name);

/// sparse-bitmask, or without row_offsets sparse-24-bitmask.
struct SparseTensors {
  Shape shape;                          // of the weight: {rows, cols}, or {cols}
  const Tensor* compressed = nullptr;   // [n_values], or [rows, cols / 2]
  const Tensor* bitmask = nullptr;      // U8 [rows, ceil(cols / 8)]
  const Tensor* row_offsets = nullptr;  // I64 [rows]
};

/// Checks types and shapes; of the values only the first row offset.
Result<SparseTensors> check_sparse(const Checkpoint& checkpoint, const std::string& prefix);

/// Checks the rows and columns that the tensor `shape` says.
Status check_extent(const Checkpoint& checkpoint, const Tensor& shape, const Shape& found);

}  // namespace colonnade::shard
