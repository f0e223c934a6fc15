// Prunes one matrix by what calibration knows of its inputs.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "engine/base/result.h"
#include "shard/prune/factor.h"
#include "shard/prune/grid.h"
#include "shard/prune/structure.h"

namespace colonnade::shard {

enum class PruneMethod {
  kMagnitude,  // the smallest weights of the matrix
  kWanda,      // of each row the smallest |weight| * norm of its input (Sun et al. 2023, arXiv:2306.11695)
  kSparseGpt,  // sweep.h
};

/// "magnitude", "wanda" or "sparsegpt"; kInvalidArgument names the others.
Result<PruneMethod> parse_prune_method(std::string_view text);
const char* prune_method_name(PruneMethod method);

struct MatrixRules {
  PruneMethod method = PruneMethod::kSparseGpt;
  bool refit = false;  // kept weights are fitted anew once the mask is known
  Structure structure = {};
  double sparsity = 0.5;
  PrunedValues values = PrunedValues::kBf16;

  bool needs_gram() const { return method == PruneMethod::kSparseGpt || refit; }
  bool needs_factor() const { return method == PruneMethod::kSparseGpt || (refit && values != PrunedValues::kBf16); }
};

/// What is known of the inputs of a matrix: as much as the rules need, or less, then a simpler method is used.
struct InputKnowledge {
  const FloatMatrix* gram = nullptr;  // sum of outer products, damped, whole
  const Factor* factor = nullptr;     // of it
  std::span<const float> norms = {};  // by column; empty: all alike
};

struct MatrixOutcome {
  std::size_t kept = 0;
  double lost = 0;    // of the output's energy `total`, measured on some of the rows; 0 of 0 without a gram
  double total = 0;
};

/// Replaces `weights` (rows, cols) by pruned ones, every one a bf16 number. `pieces` are the columns at which the pieces begin
/// that the matrix is packed in. The same bits with any number of threads and on every instruction set.
MatrixOutcome prune_matrix(const Compute& compute, MemoryMeter& meter, const MatrixRules& rules, const InputKnowledge& input,
                           std::span<const std::size_t> pieces, FloatMatrix& weights);

/// The same for some rows of the whole matrix `weights`, from a multiple of kRowGroup on: only they change and are counted.
MatrixOutcome prune_rows(const Compute& compute, MemoryMeter& meter, const MatrixRules& rules, const InputKnowledge& input,
                         std::span<const std::size_t> pieces, FloatMatrix& weights, RowRange rows);

/// Most bytes that prune_matrix holds besides the weights.
std::uint64_t prune_matrix_bytes(const MatrixRules& rules, std::size_t rows, std::size_t cols, int n_threads);

}  // namespace colonnade::shard
