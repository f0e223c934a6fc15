#include "shard/checkpoint_tensors.h"

#include <set>

#include "shard/stored_codes.h"
#include "shard/stored_scales.h"
#include "shard/tensor_layout.h"

namespace colonnade::shard {

Result<std::unique_ptr<const CheckpointTensors>> CheckpointTensors::open_directory(const std::filesystem::path& directory, QuantizationConfig config) {
  COLONNADE_ASSIGN(Checkpoint checkpoint, Checkpoint::open(directory));
  return std::unique_ptr<const CheckpointTensors>(new CheckpointTensors(std::move(checkpoint), std::move(config)));
}

Result<std::unique_ptr<const CheckpointTensors>> CheckpointTensors::open_file(const std::filesystem::path& file) {
  COLONNADE_ASSIGN(Checkpoint checkpoint, Checkpoint::open_file(file));
  return std::unique_ptr<const CheckpointTensors>(new CheckpointTensors(std::move(checkpoint), QuantizationConfig{}));
}

std::vector<std::string> CheckpointTensors::names() const {
  std::set<std::string> names;
  for (const Tensor& tensor : checkpoint_.tensors()) names.insert(weight_of_part(tensor.name));
  names.erase("");
  return {names.begin(), names.end()};
}

Result<TensorRows> CheckpointTensors::open(const std::string& name) const {
  COLONNADE_ASSIGN(StoredCodes stored, open_codes(checkpoint_, config_, name));
  if (stored.need_scale) {
    const std::string module = module_of_weight(name).empty() ? name : module_of_weight(name);
    COLONNADE_ASSIGN(stored, apply_scales(checkpoint_, config_.scheme_of(module), module, std::move(stored)));
  }
  return TensorRows(name, std::move(stored.file), std::move(stored.shape), std::move(stored.form), std::move(stored.rows));
}

}  // namespace colonnade::shard
