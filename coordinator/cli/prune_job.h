// prune on several ranks: as one of them, and as the process that starts them.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "shard/prune/prune_model.h"

namespace colonnade::cli {

struct PruneJob {
  int n_ranks = 0;         // 0: not said
  std::string hosts_file;  // "" : this machine
  std::string out;
};

/// Whether the work is to be done by processes that this one starts; an error where the options contradict what a launcher did.
Result<bool> starts_ranks(const PruneJob& job);

/// Starts this process' own command line again on several ranks and shows what rank 0 says. The exit status.
int run_prune_job(const PruneJob& job);

/// As a rank that a launcher started, or alone. `prepare` reads the calibration text: on rank 0 only. What rank 0 reports; nothing on others.
/// An error has been told already where it is none of ours to tell; a rank that fails alone ends the job and does not return.
struct PruneEnd {
  std::optional<shard::PruneReport> report = {};
  int exit_status = 0;
};
PruneEnd prune_as_rank(const std::filesystem::path& source, const std::filesystem::path& out, shard::PruneOptions options,
                       const std::function<Status(shard::PruneOptions&)>& prepare);

}  // namespace colonnade::cli
