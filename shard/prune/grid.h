// The values that kept weights may take: those of a weight format, so that packing keeps them. Scales are such that every
// value is also a bf16 number: what is written needs no more than 16 bits, and other tools read the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "shard/prune/row_group.h"

namespace colonnade::shard {

enum class PrunedValues { kBf16, kInt8, kInt4 };

/// "bf16", "int8" or "int4"; kInvalidArgument names the others.
Result<PrunedValues> parse_pruned_values(std::string_view text);
const char* pruned_values_name(PrunedValues values);

/// Columns that share a scale, ascending: where each run begins, and the number of columns at the end.
using ColumnRuns = std::vector<std::size_t>;

/// Runs for a matrix that is packed in pieces, which begin at `pieces` and end at `cols`: int8 has a scale for each row of
/// a piece; int4 one for 128 columns, or for 512 where so few weights are left that index-permute formats are used.
ColumnRuns column_runs(PrunedValues values, std::span<const std::size_t> pieces, std::size_t cols, double density);

/// Scales of one row group. Memory for up to max_cols columns.
class Grid {
 public:
  /// Chooses scales for the kept values of `group`: int8 the smallest power of two that reaches the largest weight;
  /// int4 a scale of five significant bits with a small error, squared and weighted by column (`importance`, empty: all 1).
  void choose(PrunedValues values, const ColumnRuns& runs, std::span<const float> importance, RowGroup& group);

  /// out[r] = the nearest value of column `col` to in[r] where keep[r] is 1, else 0.
  void round(std::size_t col, const float* in, const std::uint8_t* keep, float* out) const;

  /// Rounds all values of a group by themselves.
  void round_all(RowGroup& group) const;

 private:
  void choose_run(const ColumnRuns& runs, std::size_t run, std::span<const float> importance, RowGroup& group);

  PrunedValues values_ = PrunedValues::kBf16;
  std::vector<std::uint32_t> run_of_;  // by column
  std::vector<float> scales_;          // (run, kRowGroup); 0 where nothing is kept
};

}  // namespace colonnade::shard
