// The parts of packing that pack_model() and open_model() share; see model_source.h for what users of models call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "shard/model_source.h"
#include "shard/pack_directory.h"
#include "shard/source_model.h"

namespace colonnade::shard {

/// What a pack will need, by what is expected of its paths.
struct PackNeeds {
  std::uint64_t disk_bytes = 0;    // of the packed model; near it for sparse formats
  std::uint64_t memory_bytes = 0;  // beside the page cache: one blob and one strip a thread, and the list of paths
  int threads = 0;
};
PackNeeds pack_needs(const std::vector<PathSpec>& paths, int n_threads);

/// kExhausted when `directory`'s file system has less than disk_bytes free. Logs what is needed and free.
Status announce_pack(const std::filesystem::path& source, const std::filesystem::path& directory,
                     const PackNeeds& needs);

/// Chooses formats, states what is needed, packs into `directory` and commits it. kExhausted when the disk has too little room.
Result<Manifest> pack_into(PackDirectory& directory, const SourceModel& model, const std::filesystem::path& source,
                           const PackOptions& options, std::string fingerprint);

/// What `options` ask for.
FormatRules pack_rules(const PackOptions& options);

/// Identifies what a pack depends on: names, sizes and times of the source's files, its configuration, the options and
/// the version. Two packs with the same fingerprint are the same.
Result<std::string> source_fingerprint(const std::filesystem::path& source, const PackOptions& options);

/// Threads for long work: `asked`, or as many as CPUs were granted to this process when it is 0.
int work_threads(int asked);

}  // namespace colonnade::shard
