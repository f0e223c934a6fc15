// Which layout of compressed-tensors a module of a checkpoint has, told by the tensors that are present, and the
// checks of the one that is read here: sparse-bitmask.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "shard/checkpoint.h"

namespace colonnade::shard {

/// The prefix of the sparse-bitmask tensors that stand for the weight `name`: its module from release 0.9.0 on
/// ("m" for "m.weight"), the whole name before. "" when the weight is plain or absent. kUnsupported names any other
/// layout; kCorrupt a module with half of its tensors.
Result<std::string> sparse_prefix(const Checkpoint& checkpoint, const std::string& name);

struct BitmaskTensors {
  Shape shape;                // of the weight: {rows, cols}, or {cols}
  const Tensor* compressed;   // [n_values]
  const Tensor* bitmask;      // U8 [rows, ceil(cols / 8)]
  const Tensor* row_offsets;  // I64 [rows]
};

/// Checks types and shapes; of the values only the first row offset.
Result<BitmaskTensors> check_bitmask(const Checkpoint& checkpoint, const std::string& prefix);

/// The weight to which the tensor `name` of a checkpoint belongs: "m.weight" for "m.bitmask"; `name` itself when it is one.
std::string weight_of_part(const std::string& name);

}  // namespace colonnade::shard
