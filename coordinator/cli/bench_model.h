// colonnade bench MODEL: tokens a second of prefill and decode against the machine's own read bandwidth.
#pragma once

#include "engine/base/options.h"
#include "engine/base/result.h"

namespace colonnade::cli {

/// Runs the layouts in turn (A B A B …), so that their ratio is of one run. Prints a table; see `colonnade bench --help`.
Status bench_model(const Options& options);

}  // namespace colonnade::cli
