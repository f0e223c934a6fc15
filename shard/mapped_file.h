// A file mapped read-only. Owns the mapping; the bytes are valid as long as it lives. Read-only, so thread-safe.
// If somebody shrinks the file while it is mapped, reading the lost part raises SIGBUS: checkpoints are not to be
// changed while they are being packed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "engine/base/result.h"

namespace colonnade::shard {

class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();

  /// kNotFound or kIo name the path. A directory or other special file is kInvalidArgument.
  static Result<MappedFile> open(const std::filesystem::path& path);

  std::span<const std::byte> bytes() const { return {data_, bytes_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// The whole content of a small file. kExhausted when it is larger than `limit_bytes`.
Result<std::string> read_small_file(const std::filesystem::path& path, std::uint64_t limit_bytes);

}  // namespace colonnade::shard
