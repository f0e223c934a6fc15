#include "shard/checkpoint_tensors.h"

#include <set>

#include "engine/base/format_text.h"
#include "shard/bitmask_rows.h"
#include "shard/plain_rows.h"
#include "shard/tensor_layout.h"

namespace colonnade::shard {

Result<std::unique_ptr<const CheckpointTensors>> CheckpointTensors::open_directory(const std::filesystem::path& directory) {
  COLONNADE_ASSIGN(Checkpoint checkpoint, Checkpoint::open(directory));
  return std::unique_ptr<const CheckpointTensors>(new CheckpointTensors(std::move(checkpoint)));
}

std::vector<std::string> CheckpointTensors::names() const {
  std::set<std::string> names;
  for (const Tensor& tensor : checkpoint_.tensors()) names.insert(weight_of_part(tensor.name));
  return {names.begin(), names.end()};
}

Result<TensorRows> CheckpointTensors::open(const std::string& name) const {
  COLONNADE_ASSIGN(const std::string prefix, sparse_prefix(checkpoint_, name));
  if (!prefix.empty()) return open_bitmask(name, prefix);

  const Tensor* tensor = checkpoint_.find(name);
  if (tensor == nullptr)
    return Error{ErrorCode::kNotFound, text("tensor ", name, " is missing: expected in ", checkpoint_.file_names().front(),
                                            checkpoint_.file_names().size() > 1 ? " or the other files" : "")};
  const std::string& file = checkpoint_.file_of(*tensor);
  if (!is_weight_dtype(tensor->dtype))
    return Error{ErrorCode::kUnsupported, text("tensor ", name, " in ", file, " has dtype ", dtype_name(tensor->dtype),
                                               "; supported are F64, F32, F16 and BF16")};
  const std::uint64_t cols = tensor->shape.empty() ? 1 : tensor->shape.back();
  return TensorRows(name, file, tensor->shape, {.name = dtype_name(tensor->dtype), .bytes = tensor->data.size()},
                    plain_rows(tensor->dtype, tensor->data.data(), cols));
}

Result<TensorRows> CheckpointTensors::open_bitmask(const std::string& name, const std::string& prefix) const {
  COLONNADE_ASSIGN(const BitmaskTensors tensors, check_bitmask(checkpoint_, prefix));
  const std::uint64_t rows = tensors.shape.size() == 2 ? tensors.shape[0] : 1;
  const Dtype dtype = tensors.compressed->dtype;
  const std::uint64_t bytes = tensors.compressed->data.size() + tensors.bitmask->data.size() + tensors.row_offsets->data.size();
  return TensorRows(name, checkpoint_.file_of(*tensors.compressed), tensors.shape,
                    {.name = text("sparse-bitmask ", dtype_name(dtype)), .bytes = bytes, .sparse = true},
                    bitmask_rows({.title = text("tensor ", name),
                                  .rows = rows,
                                  .cols = tensors.shape.back(),
                                  .dtype = dtype,
                                  .values = tensors.compressed->data.data(),
                                  .n_values = tensors.compressed->shape[0],
                                  .bitmask = tensors.bitmask->data.data(),
                                  .offsets = tensors.row_offsets->data.data()}));
}

}  // namespace colonnade::shard
