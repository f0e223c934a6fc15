// What prune and quality have in common: how layers share the zeros, and the text to calibrate with.
#pragma once

#include <string>
#include <vector>

#include "engine/base/options.h"
#include "engine/base/result.h"
#include "shard/prune/prune_model.h"

namespace colonnade::cli {

/// --rates, --rate-spread, --calibration, --calibration-windows, --calibration-length, --damping.
std::vector<Option> prune_setting_list();

/// Of those, what needs no reading of files.
Result<shard::PruneOptions> read_prune_settings(const Options& options);

/// Fills prune.windows, where calibration is needed, with tokens of the model `source`. Errors name the file.
Status read_calibration(const Options& options, const std::string& source, shard::PruneOptions& prune);

}  // namespace colonnade::cli
