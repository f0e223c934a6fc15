// Writes path blobs into *.paths files, each at the next 4 KiB boundary, in the order of the paths, whatever thread
// encoded them: the same model gives the same files.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "shard/durable_file.h"
#include "shard/manifest.h"

namespace colonnade::shard {

class BlobWriter {
 public:
  /// Files are begun anew when they would grow beyond `file_bytes`.
  BlobWriter(std::filesystem::path directory, std::uint64_t file_bytes);

  /// Waits for its turn, gives the blob of path number `index` its place (file and offset of `path`), then writes it.
  /// Every index from 0 on must come, each from some thread, and no thread may hold back a smaller one. Thread-safe.
  /// After abandon(), or when a file cannot be made, returns an error at once.
  Status write(std::size_t index, PathSpec& path, std::span<const std::byte> blob);

  /// Lets all waiting threads go: somebody failed.
  void abandon();

  /// Pads the files to whole blocks, flushes them to the disk and lists them.
  Result<std::vector<BlobFile>> finish();

 private:
  struct OpenFile {
    std::filesystem::path path;
    FileHandle handle;
    std::uint64_t bytes = 0;
  };
  Status place(PathSpec& path);

  std::filesystem::path directory_;
  std::uint64_t file_bytes_;
  std::mutex mutex_;
  std::condition_variable turn_;
  std::size_t next_ = 0;        // whose turn it is
  bool abandoned_ = false;
  std::vector<OpenFile> files_;
};

}  // namespace colonnade::shard
