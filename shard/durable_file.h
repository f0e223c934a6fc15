// Files that survive a crash: written under a temporary name, flushed to the disk and then renamed; and a lock that
// goes away with its process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "engine/base/result.h"

namespace colonnade::shard {

/// Owns a file descriptor.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  FileHandle(FileHandle&& other) noexcept;
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

  /// A new, empty file for writing. kIo when it exists already or cannot be made.
  static Result<FileHandle> create(const std::filesystem::path& path);

  /// Writes all bytes at `offset`. kExhausted when the disk is full. Thread-safe. `path` is for the message.
  Status write_at(std::span<const std::byte> bytes, std::uint64_t offset, const std::filesystem::path& path) const;
  Status flush(const std::filesystem::path& path) const;

 private:
  int descriptor_ = -1;
};

/// Makes renames and new names in `directory` durable.
Status flush_directory(const std::filesystem::path& directory);

/// Replaces the file `path` by `content` in one step.
Status write_file_durably(const std::filesystem::path& path, std::span<const std::byte> content);

/// Holds an exclusive lock on a file for as long as it lives, or as the process lives.
class FileLock {
 public:
  /// Takes the lock of `path` (created when absent). With `wait` false: kUnavailable when another process has it.
  /// kNotFound when there is no directory for it, or no more.
  static Result<FileLock> acquire(const std::filesystem::path& path, bool wait);

  /// Removes the lock file while it is still locked, so that nobody takes a stale one.
  void remove();

 private:
  FileHandle file_;
  std::filesystem::path path_;
};

}  // namespace colonnade::shard
