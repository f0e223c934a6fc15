// What a rank has to do for a block of a step, and how long that takes it. Part of predict_step (shard/predict.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "engine/model/config.h"
#include "shard/cluster.h"
#include "shard/format_costs.h"
#include "shard/paths.h"

namespace colonnade::shard {

/// Of one rank. Sums; seconds are those of one core of the cost table.
struct BlockWork {
  double weight_bytes = 0;
  double kernel_seconds = 0;   // of the matrices
  double unpacked_seconds = 0; // the part of it that works on strips which are unpacked first
  double context_bytes = 0;    // keys and values
  double context_seconds = 0;
  double small_seconds = 0;    // activations, sums: shared out over the cores
  double serial_seconds = 0;   // of one core while the others wait
  double weight_pieces = 0;    // that cores share out; 0: as many as they like
  double context_pieces = 0;
  double barriers = 0;

  BlockWork& operator+=(const BlockWork& other);
};

/// Seconds by what they are spent on.
struct BlockTime {
  double memory = 0, kernels = 0, context = 0, small_work = 0;
  double total() const { return memory + kernels + context + small_work; }
};
BlockTime block_time(const BlockWork& work, const RankRates& rates, bool in_l3);

/// Looks costs up and remembers them. Used by one thread.
class MatrixCosts {
 public:
  MatrixCosts(const FormatCosts& costs, std::string isa) : costs_(costs), isa_(std::move(isa)) {}

  /// Adds the kernels of a matrix, `passes` times with n tokens; without an entry in the table only its bytes count.
  void add(BlockWork& work, const MatrixSpec& matrix, int n_tokens, double passes = 1);
  void add(BlockWork& work, const std::vector<MatrixSpec>& matrices, int n_tokens, double passes = 1) {
    for (const MatrixSpec& m : matrices) add(work, m, n_tokens, passes);
  }
  /// What a core of this instruction set needs for attention and other fp32 work, relative to AVX-512.
  double slowness() const;

 private:
  const FormatCosts& costs_;
  std::string isa_;
  std::map<std::tuple<engine::FormatId, std::int64_t, int>, double> known_;  // format, bits * 1000, tokens
};

/// A neuron group with `n_tokens` of a step's `step_tokens` tokens. `columns`: cores take whole paths.
BlockWork neuron_work(const engine::ModelConfig& config, const PathSpec& path, int n_tokens, bool columns, MatrixCosts& costs);

/// Keys and values of one KV head read for `n_heads` query heads of `n_tokens` tokens of one sequence, which see `positions`
/// each on average. `position_bytes`: of the cache.
BlockWork context_work(const engine::ModelConfig& config, int n_heads, int n_tokens, double positions, double position_bytes,
                       const MatrixCosts& costs);

}  // namespace colonnade::shard
