// The directory of a pruned model while it is being made: locked, with a note of what is being made, so that a run that was
// killed goes on where it was and nobody takes an unfinished model for a finished one (config.json comes last).
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "engine/base/result.h"
#include "shard/durable_file.h"
#include "shard/prune/pruned_tensors.h"
#include "shard/prune/safetensors_file.h"
#include "shard/source_model.h"

namespace colonnade::shard {

class PruneDirectory {
 public:
  /// Makes `path`, or goes on with what an earlier run with the same `task` left there. kInvalidArgument when it holds anything else;
  /// kUnavailable when another process is at it.
  static Result<PruneDirectory> open(const std::filesystem::path& path, const std::string& task, int n_layers);

  /// Whether `path` holds the whole result of a prune.
  static bool is_finished(const std::filesystem::path& path);

  /// What an earlier run has noted beside the task, or "".
  const std::string& note() const { return note_; }
  Status write_note(const std::string& note);

  /// The file of a layer's matrices; index n_layers: of everything else.
  std::filesystem::path shard(int index) const;
  bool has_shard(int index) const;

  /// Writes the shard of everything that is not pruned, the index, the small files of `source`, at last config.json; removes the note.
  Status finish(const std::filesystem::path& source, const SourceModel& model, PrunedLayout layout, double sparsity);

 private:
  PruneDirectory(std::filesystem::path path, FileLock lock, std::string task, int n_layers)
      : path_(std::move(path)), lock_(std::move(lock)), task_(std::move(task)), n_layers_(n_layers) {}
  Status write_rest(const SourceModel& model, const std::set<std::string>& written) const;

  std::filesystem::path path_;
  FileLock lock_;
  std::string task_;
  std::string note_;
  int n_layers_;
};

}  // namespace colonnade::shard
