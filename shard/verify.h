// Reads a whole packed model and compares every path's checksum.
#pragma once

#include <cstdint>
#include <filesystem>

#include "engine/base/result.h"
#include "shard/manifest.h"

namespace colonnade::shard {

struct VerifyReport {
  std::uint64_t bytes = 0;   // read
  double seconds = 0;
  int threads = 0;
};

/// kCorrupt names the first path (in plan order) whose bytes are not those that were packed. Shows progress. `threads` 0:
/// all granted CPUs.
Result<VerifyReport> verify_blobs(const Manifest& manifest, const std::filesystem::path& directory, int threads);

}  // namespace colonnade::shard
