// What a multiplication costs by packed format, and how that is kept: a table measured by `colonnade bench kernels
// --write-costs FILE`, or the built-in one. Values; everything here is pure but read_costs().
//
// The time of one pass over a matrix on one core follows from its bytes over the core's share of the machine's read
// bandwidth and its weights times the seconds that a weight takes when strips lie in the core's L2, which overlap; it is at least
// what weights take that come from memory, where that was measured. The latter two depend on the format and on the bits per weight: these grow with the
// density (masks and values, index and value pairs, padding included), so that points measured at some densities and
// structures serve all others.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::shard {

/// Of bytes and instructions that overlap: the larger, and more the nearer they are to each other. Measured with two cores that
/// read 55 GB/s, int4 values, 2048 columns, of 25 % density: `bitmask-int4` 14.6 ps a weight where its bytes take 9.5 and its
/// instructions 13, `gap-int4` 10.6 where they take 9.7 and 8.6.
double overlapped_seconds(double memory, double compute);

struct CostPoint {
  std::string isa;                // KernelTable::name
  std::string format;             // Format::name()
  int tokens = 1;
  double bits_per_weight = 0;     // zeros count as weights
  double seconds_per_weight = 0;  // of one core from its L2, all tokens together
  double memory_seconds_per_weight = 0;  // the same from memory, all cores reading; 0: not measured
  double density = 1;             // what was measured, for people
  std::string structure = "dense";
};

struct FormatCosts {
  std::string origin;                // "built-in", or the file: for messages
  int n_cores = 0;                   // that were measured together; 0: built-in
  double core_bytes_per_second = 0;  // read bandwidth from memory over n_cores
  std::vector<CostPoint> points;

  /// Seconds of one core for a weight in a pass of `tokens` tokens, from L2 or from memory: linear between the points of the largest token class
  /// that is not larger; beyond the points, the last one, in proportion to the bits above. nullopt without points.
  std::optional<double> seconds_per_weight(std::string_view isa, std::string_view format, int tokens, double bits_per_weight,
                                           double CostPoint::*measured = &CostPoint::seconds_per_weight) const;

  /// The same from L2 for any number of tokens: linear between the measured classes, in proportion beyond the last one.
  std::optional<double> step_seconds_per_weight(std::string_view isa, std::string_view format, int tokens, double bits_per_weight) const;

  /// One pass over `weights` weights that are stored in `bytes` bytes and read from memory, on one core.
  std::optional<double> pass_seconds(std::string_view isa, std::string_view format, int tokens, double weights,
                                     double bytes) const;
};

/// Measured on one machine and rounded (built_in_costs.cc says which); its bandwidth lies between the share of a core in a
/// full server and that of a lone core.
const FormatCosts& built_in_costs();

/// As JSON; docs/bench.md describes it.
std::string costs_text(const FormatCosts& costs);

/// kInvalidArgument names `where` and what is wrong. Points of formats or instruction sets that this build lacks are kept.
Result<FormatCosts> parse_costs(std::string_view content, const std::string& where);
Result<FormatCosts> read_costs(const std::filesystem::path& file);

}  // namespace colonnade::shard
