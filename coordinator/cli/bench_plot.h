// Tokens a second against sparsity as an SVG file, from the rows of colonnade bench. Pure.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/bench_rows.h"

namespace colonnade::cli {

/// A line for each test, batch, layout and kind of weights, with its deviations; the y axis begins at 0. Prefill, which is many times
/// faster, has a panel of its own.
std::string plot_svg(const std::vector<BenchRow>& rows);

}  // namespace colonnade::cli
