// Writes a safetensors file: header first, then the tensors in the order in which they were added.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "shard/safetensors.h"
#include "shard/tensor_rows.h"

namespace colonnade::shard {

class SafetensorsFile {
 public:
  /// Bytes that this keeps.
  void add_owned(std::string name, Dtype dtype, std::vector<std::uint64_t> shape, std::vector<std::byte> data);

  /// Rows that are read while the file is written: BF16 where that holds every number, else F32. Reads them once to see.
  Status add_rows(const TensorRows& rows);

  /// Under a temporary name, flushed, then renamed. Errors name the file.
  Status write(const std::filesystem::path& path) const;

 private:
  struct Entry {
    Tensor tensor;
    std::optional<TensorRows> rows;  // in place of tensor.data
    std::uint64_t bytes = 0;
  };
  std::vector<Entry> tensors_;
  std::vector<std::vector<std::byte>> owned_;
};

}  // namespace colonnade::shard
