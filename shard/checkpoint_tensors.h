// The tensors of a Hugging Face directory by name, in whatever layout each of them is: plain, or of compressed-tensors.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "shard/checkpoint.h"
#include "shard/tensor_source.h"

namespace colonnade::shard {

class CheckpointTensors final : public TensorSource {
 public:
  static Result<std::unique_ptr<const CheckpointTensors>> open_directory(const std::filesystem::path& directory);

  Result<TensorRows> open(const std::string& name) const override;
  std::vector<std::string> names() const override;
  std::uint64_t bytes() const override { return checkpoint_.bytes(); }

 private:
  explicit CheckpointTensors(Checkpoint checkpoint) : checkpoint_(std::move(checkpoint)) {}
  Result<TensorRows> open_bitmask(const std::string& name, const std::string& prefix) const;

  Checkpoint checkpoint_;
};

}  // namespace colonnade::shard
