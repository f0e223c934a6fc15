// The manifest of a packed model in memory, and reading and writing its file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/config.h"
#include "shard/paths.h"

namespace colonnade::shard {

inline constexpr std::uint32_t kManifestVersion = 5;
inline constexpr std::uint64_t kBlobAlignment = 4096;
inline constexpr const char* kManifestName = "manifest.colonnade";

struct SourceFile {
  std::string name;
  std::string content;
};

struct BlobFile {
  std::string name;  // beside the manifest
  std::uint64_t bytes = 0;
};

struct Manifest {
  std::string name;
  std::string source_fingerprint;
  std::string packed_by;
  engine::ModelConfig config;
  std::vector<PathSpec> paths;
  std::vector<SourceFile> source_files;
  std::vector<BlobFile> blob_files;

  /// The content of a source file, or nullptr.
  const std::string* source_file(std::string_view file_name) const;
};

/// Reads and checks everything that later code relies on: version, own checksum, dimensions, every path's matrices
/// against the configuration (by enumerate_paths), offsets within the blob files and the files' real sizes.
/// kNotFound, kCorrupt, kUnsupported name the directory or field, the expected and the found value.
Result<Manifest> read_manifest(const std::filesystem::path& directory);

/// Writes the manifest file durably (temporary name, fsync, rename, fsync of the directory): the last act of pack.
Status write_manifest(const Manifest& manifest, const std::filesystem::path& directory);

/// True when `directory` holds a finished packed model.
bool is_packed_model(const std::filesystem::path& directory);

}  // namespace colonnade::shard
