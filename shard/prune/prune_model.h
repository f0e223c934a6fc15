// From a dense Hugging Face directory to a sparse one, a layer at a time: what is held in memory is one layer, the activations of the
// calibration text, and the statistics of one layer's inputs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/comm.h"
#include "engine/base/result.h"
#include "shard/prune/prune_matrix.h"
#include "shard/prune/pruned_tensors.h"
#include "shard/prune/rates.h"

namespace colonnade::shard {

struct PruneOptions {
  MatrixRules rules = {};
  RateRule rates = RateRule::kUniform;
  double rate_spread = 0.08;       // how far a layer's sparsity may be from the mean
  double damping = 0.01;           // added to the diagonal of input statistics, of its mean
  PrunedLayout layout = PrunedLayout::kDense;
  std::vector<std::vector<std::int32_t>> windows = {};  // the calibration text in tokens; may be empty where nothing needs it
  int threads = 0;                 // 0: all granted CPUs
  std::string isa = {};            // "": the best of this machine
  std::function<void(double)> on_progress = {};  // in place of a progress bar: called with the fraction that is done, from any thread
  int stop_after_layers = -1;      // for tests of what an interruption leaves: kCancelled after so many new layers
};

/// True when calibration text is needed.
bool needs_calibration(const PruneOptions& options);

struct PruneReport {
  std::size_t weights = 0;         // of the pruned matrices
  std::size_t kept = 0;
  std::vector<double> rates = {};  // by layer
  std::vector<double> errors = {};  // by layer: the share of the matrices' output energy that is lost (rows that were measured)
  std::vector<std::string> weak_experts = {};  // "layer 3, expert 7: 12 tokens": pruned without statistics of their own
  std::uint64_t stated_bytes = 0;  // of memory, before the start; with several ranks: of the one that needs most
  std::uint64_t peak_bytes = 0;    // that large buffers took
  double seconds = 0;
  int resumed_layers = 0;          // found finished
};

/// Prunes `source` into `out`, which must not exist, be empty, or hold an interrupted prune with the same source and options: finished
/// layers are then only run, and the result has the same bytes as that of an uninterrupted one. Shows progress; says
/// what memory it needs before it starts. Whatever the engine runs can be pruned.
Result<PruneReport> prune_model(const std::filesystem::path& source, const std::filesystem::path& out, const PruneOptions& options);

/// One rank of several that do it together, each with its own communicator and the same options (`windows`: those of rank 0 count). Every
/// one reads `source`; rank 0 alone looks at `out`, writes there and shows progress. Same bytes on any number of ranks, which may differ
/// between an interrupted run and the one that goes on. `all_know` says of an error whether every rank has it, so
/// that rank 0 can tell it; otherwise others may be waiting for this one, and the job is to be ended.
Result<PruneReport> prune_model(const std::filesystem::path& source, const std::filesystem::path& out, PruneOptions options,
                                Communicator& comm, bool& all_know);

}  // namespace colonnade::shard
