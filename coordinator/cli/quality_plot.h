// Perplexity against bytes read for a token, as an SVG file: what a user has to choose from. Pure.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/quality_rows.h"

namespace colonnade::cli {

/// A line for each method, structure and kind of values, from few zeros to many; the dense model and others for comparison; and a broad pale
/// line through the points of pareto_front(). What is near the dense model is shown once more by itself. Bits per byte in place of
/// perplexity where models were measured on different tokens.
std::string quality_svg(const std::vector<QualityRow>& rows);

}  // namespace colonnade::cli
