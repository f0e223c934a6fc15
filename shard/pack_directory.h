// The directory of a packed model while it is being made. It holds a locked file ".packing" from the first byte to the
// last act, the renaming of the manifest; so whoever finds the file unlocked and no manifest knows that a pack was
// killed, and may remove what it left. Nothing without a manifest opens.
#pragma once

#include <filesystem>

#include "engine/base/result.h"
#include "shard/durable_file.h"

namespace colonnade::shard {

class PackDirectory {
 public:
  /// Makes or takes over `path`. It must not exist, be empty, or hold an unfinished pack, whose files are removed.
  /// With `wait`, waits while another process packs there; without, that is kUnavailable. kInvalidArgument when it
  /// holds anything else. When another process finished a packed model in the meantime, finished() is true and there
  /// is nothing to do.
  static Result<PackDirectory> open(const std::filesystem::path& path, bool wait);

  PackDirectory(PackDirectory&&) noexcept = default;
  PackDirectory& operator=(PackDirectory&&) noexcept = default;
  /// Without commit(), removes everything that was made.
  ~PackDirectory();

  const std::filesystem::path& path() const { return path_; }
  bool finished() const { return finished_; }

  /// The manifest is there: keeps the directory and gives up the lock.
  void commit();

 private:
  /// kNotFound when another process removed the directory while this one waited.
  static Result<PackDirectory> try_open(const std::filesystem::path& path, bool wait);

  PackDirectory(std::filesystem::path path, FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;  // empty when moved from or committed
  FileLock lock_;
  bool finished_ = false;
  bool made_ = false;  // the directory itself
};

}  // namespace colonnade::shard
