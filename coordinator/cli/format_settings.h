// How weights are to be stored, from options: --values, --head-values, a forced format, --costs, --isa. Shared by the commands
// that pack or make up a model.
#pragma once

#include <memory>
#include <string>

#include "engine/base/options.h"
#include "engine/base/result.h"
#include "shard/format_choice.h"
#include "shard/paths.h"

namespace colonnade::cli {

struct FormatSettings {
  shard::FormatRules rules;
  std::shared_ptr<const shard::FormatCosts> costs;  // what rules.costs points to; nullptr: the built-in ones
};

/// `values` "" means `default_values`, or those of the forced format; --head-values "" means the same as --values.
/// `forced_option` is the name of the option that forces a format. kInvalidArgument when they contradict each other.
Result<FormatSettings> read_format_settings(const Options& options, const char* forced_option, const char* default_values);

/// "bitmask-int4 3.06 bits, head int4 4.25 bits, embedding bf16 16.00 bits": by place, the larger part first. The embedding's
/// part, of which a token reads one row, is left out unless `with_embedding`.
std::string format_summary(const std::vector<shard::PathSpec>& paths, bool with_embedding);

/// How the zeros of attention and feed-forward lie; all kept where there are no weights.
engine::Zeros projection_zeros(const std::vector<shard::PathSpec>& paths);

/// The values that attention and feed-forward are packed with: "int4".
std::string projection_values(const std::vector<shard::PathSpec>& paths);

}  // namespace colonnade::cli
