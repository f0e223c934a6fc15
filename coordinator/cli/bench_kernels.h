// colonnade bench kernels: weights a second by format, instruction set and number of tokens, from cache and memory.
#pragma once

#include "engine/base/options.h"
#include "engine/base/result.h"

namespace colonnade::cli {

/// Measures all cases in turn, `repetitions` times, each beside a plain read of as many bytes; prints medians. Uses
/// the options isa, values, repetitions and format of `colonnade bench`.
Status bench_kernels(const Options& options);

}  // namespace colonnade::cli
