// The text that calibration runs on, and its activations between two layers: the part of one rank.
#pragma once

#include <cstdint>
#include <vector>

#include "shard/prune/compute.h"

namespace colonnade::shard {

/// Windows that run together: short ones that make a step, or one that takes several steps. Which these are follows from the text alone, so
/// that no number depends on how many ranks there are.
struct CalibrationUnit {
  std::size_t first_window = 0;
  std::size_t n_windows = 0;
};

struct CalibrationBatch {
  std::vector<std::vector<std::int32_t>> windows = {};  // tokens; of this rank
  std::vector<CalibrationUnit> units = {};              // of these windows
  std::size_t n_units = 0;                              // of all ranks
  std::size_t step_tokens = 1;                          // of the largest step
  std::vector<std::size_t> first_row = {};              // of each window in activations
  FloatMatrix activations = {};                         // (tokens of these windows, dim): the residual stream

  std::size_t n_tokens() const;
};

/// Of `windows`, every unit whose number is `rank` modulo n_ranks. Without activations.
CalibrationBatch make_batch(const std::vector<std::vector<std::int32_t>>& windows, int rank, int n_ranks);

/// Tokens of the largest step for windows of so many together.
std::size_t calibration_step_tokens(std::size_t n_tokens);

}  // namespace colonnade::shard
