// The tensors of a GGUF model: one file, or a set of files "<name>-00001-of-00003.gguf" that gguf-split has made. Owns the mapped
// files; read-only, so thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "shard/gguf.h"
#include "shard/gguf_types.h"
#include "shard/mapped_file.h"
#include "shard/shape.h"

namespace colonnade::shard {

/// One tensor whose place and type have been checked.
struct GgufPlacedTensor {
  std::string name;
  Shape shape;  // the slowest dimension first, as everywhere but in the file
  const GgufType* type = nullptr;
  std::span<const std::byte> data;
  std::size_t file = 0;  // index into file_names()
};

/// The tensors of one file by their header: each has a type that is read here, a shape of whole blocks, an aligned place within
/// the file that no other has, and a name of its own. Errors name file, tensor, expected and found.
Result<std::vector<GgufPlacedTensor>> place_gguf_tensors(const GgufHeader& header, std::span<const std::byte> file, std::string_view name);

class GgufFiles {
 public:
  /// `path` is the file, or any one of a set.
  static Result<GgufFiles> open(const std::filesystem::path& path);

  const GgufHeader& header() const { return header_; }  // of the only or first file
  const std::vector<GgufPlacedTensor>& tensors() const { return tensors_; }  // sorted by name
  const GgufPlacedTensor* find(std::string_view name) const;                 // nullptr when there is none
  const std::vector<std::string>& file_names() const { return names_; }
  std::uint64_t bytes() const;

 private:
  Status add(const std::filesystem::path& path, std::size_t number, std::size_t count);

  GgufHeader header_;
  std::vector<std::string> names_;
  std::vector<MappedFile> files_;
  std::vector<GgufPlacedTensor> tensors_;
};

/// Whether `path` is a file that begins as GGUF files do.
bool is_gguf_file(const std::filesystem::path& path);

/// The files of the set that `path` belongs to, in order, by its name alone; just `path` when that is no name of a set.
std::vector<std::filesystem::path> gguf_set(const std::filesystem::path& path);

/// Header of a model's only or first file, for those who need no weights. `path` as for GgufFiles.
Result<GgufHeader> read_gguf_file_header(const std::filesystem::path& path);

}  // namespace colonnade::shard
