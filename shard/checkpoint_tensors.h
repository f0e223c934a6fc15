// The tensors of a Hugging Face directory by name, in whatever layout each of them is: plain, of compressed-tensors, fp8 or
// MXFP4 with scales.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "shard/checkpoint.h"
#include "shard/quantization_config.h"
#include "shard/tensor_source.h"

namespace colonnade::shard {

class CheckpointTensors final : public TensorSource {
 public:
  static Result<std::unique_ptr<const CheckpointTensors>> open_directory(const std::filesystem::path& directory, QuantizationConfig config = {});

  /// One safetensors file.
  static Result<std::unique_ptr<const CheckpointTensors>> open_file(const std::filesystem::path& file);

  Result<TensorRows> open(const std::string& name) const override;
  std::vector<std::string> names() const override;
  std::uint64_t bytes() const override { return checkpoint_.bytes(); }

 private:
  CheckpointTensors(Checkpoint checkpoint, QuantizationConfig config) : checkpoint_(std::move(checkpoint)), config_(std::move(config)) {}

  Checkpoint checkpoint_;
  QuantizationConfig config_;
};

}  // namespace colonnade::shard
