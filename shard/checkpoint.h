// The tensors of a Hugging Face directory: one model.safetensors, or the files that model.safetensors.index.json
// names. Owns the mapped files; read-only, so thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "shard/mapped_file.h"
#include "shard/safetensors.h"

namespace colonnade::shard {

class Checkpoint {
 public:
  /// kNotFound names the missing file; kCorrupt what disagrees (a truncated file, an index that names a tensor
  /// which its file lacks).
  static Result<Checkpoint> open(const std::filesystem::path& directory);

  /// One safetensors file.
  static Result<Checkpoint> open_file(const std::filesystem::path& file);

  /// nullptr when there is none. The name of the file that holds a tensor is in file_of().
  const Tensor* find(std::string_view name) const;
  const std::string& file_of(const Tensor& tensor) const;

  /// All of them, sorted by name.
  const std::vector<Tensor>& tensors() const { return tensors_; }

  const std::vector<std::string>& file_names() const { return names_; }
  std::uint64_t bytes() const;  // of all files

 private:
  Status add_file(const std::filesystem::path& directory, const std::string& name);
  Status open_index(const std::filesystem::path& directory, const std::filesystem::path& index);

  std::vector<std::string> names_;
  std::vector<MappedFile> files_;
  std::vector<Tensor> tensors_;  // sorted by name
};

}  // namespace colonnade::shard
