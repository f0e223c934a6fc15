// The checksum of stored bytes, XXH3-64, piece by piece while they arrive: for those who read blobs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace colonnade::shard {

/// begin(), add() in order, value(). Reusable; not thread-safe.
class RunningChecksum {
 public:
  RunningChecksum();
  ~RunningChecksum();
  RunningChecksum(const RunningChecksum&) = delete;
  RunningChecksum& operator=(const RunningChecksum&) = delete;

  void begin();
  void add(std::span<const std::byte> bytes);
  /// Equals blob_checksum() of everything added since begin().
  std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::shard
