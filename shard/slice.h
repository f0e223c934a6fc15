// One rank's part of a packed model in memory: which bytes to read (from manifest and plan), and the engine's view
// of them afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/weights.h"
#include "shard/manifest.h"
#include "shard/plan.h"

namespace colonnade::shard {

/// One contiguous read: `bytes` bytes at `offset` of blob file `file` go to memory offset `destination` of the
/// slice. Reads are in file order; blobs that are neighbours in their file are so in memory, with the same padding,
/// so a loader may join any run of reads.
struct SliceRead {
  std::uint32_t file;
  std::uint64_t offset;
  std::uint64_t bytes;
  std::uint64_t destination;
  std::uint32_t path;        // index into the manifest's paths
  bool whole_path;           // the whole blob
  std::uint64_t checksum;    // XXH3-64 of exactly these bytes (blob_checksum)
};

/// Where everything of a rank lies in its one block of memory.
struct SliceLayout {
  std::vector<SliceRead> reads;
  std::vector<std::uint64_t> path_base;  // per RankPlan::paths: memory offset such that blob offset o is at base + o
  std::vector<std::int64_t> head_base;   // the same for strips of query heads: those before the first held one are left out
  std::uint64_t bytes = 0;               // of the block, with what kernels read past the end; a multiple of 4 KiB
};

/// Pure. A path of which only some query heads are held is read in parts (blob_parts).
SliceLayout slice_layout(const Manifest& manifest, const RankPlan& rank);

/// The engine's view of a block that was filled by `layout`. Checks every strip offset against the blob's size and
/// every strip with its format: kCorrupt names the path. `memory` is 64-byte aligned and must outlive the result.
Result<engine::RankWeights> make_rank_weights(const Manifest& manifest, const Plan& plan, int rank,
                                              const SliceLayout& layout, std::span<const std::byte> memory);

}  // namespace colonnade::shard
