// Reads a rank's slice of a packed model into its memory: several threads, large reads, checksums on the way.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "engine/base/result.h"
#include "shard/slice.h"

namespace colonnade::worker {

/// Written by the loading threads, read (and cancelled) by any thread.
struct LoadState {
  std::atomic<std::uint64_t> loaded_bytes{0};
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<bool> cancelled{false};
};

struct LoadOptions {
  std::vector<int> cpus;   // one thread on each; empty: one thread, not pinned
  bool verify = true;      // compare checksums
};

/// Bytes that `layout` reads.
std::uint64_t slice_read_bytes(const shard::SliceLayout& layout);

/// Fills `memory` (at least layout.bytes). Needs no memory besides. kNotFound, kIo, kCorrupt (a truncated file or a
/// wrong checksum) name file and path; kCancelled when told so. Nothing goes on reading when it returns.
Status load_slice(const shard::Manifest& manifest, const std::filesystem::path& directory,
                  const shard::SliceLayout& layout, std::span<std::byte> memory, const LoadOptions& options,
                  LoadState& state);

/// load_slice() on threads of its own, while the caller goes on. What is passed by reference must outlive it.
class BackgroundLoad {
 public:
  /// `done` is called, from another thread, at the end.
  BackgroundLoad(const shard::Manifest& manifest, const std::filesystem::path& directory,
                 const shard::SliceLayout& layout, std::span<std::byte> memory, LoadOptions options,
                 std::function<void()> done);
  ~BackgroundLoad();  // cancels and waits
  BackgroundLoad(const BackgroundLoad&) = delete;
  BackgroundLoad& operator=(const BackgroundLoad&) = delete;

  bool finished() const { return finished_.load(std::memory_order_acquire); }
  std::uint64_t loaded_bytes() const { return state_.loaded_bytes.load(std::memory_order_relaxed); }
  std::uint64_t total_bytes() const { return state_.total_bytes.load(std::memory_order_relaxed); }
  /// Once finished.
  const Status& status() const { return status_; }
  double seconds() const { return seconds_; }

 private:
  LoadState state_;
  LoadOptions options_;
  Status status_;
  double seconds_ = 0;
  std::atomic<bool> finished_{false};
  std::thread thread_;
};

}  // namespace colonnade::worker
