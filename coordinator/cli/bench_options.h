// What colonnade bench MODEL and --synthetic are asked to do.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/format_settings.h"
#include "engine/base/options.h"
#include "engine/base/result.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/sparsity.h"

namespace colonnade::cli {

struct Layout {
  int n_ranks = 1;
  int threads = 1;  // of a rank
};

struct BenchOptions {
  std::string model;                           // a directory; "" when synthetic
  std::string shape;                           // of a synthetic model
  int max_layers = 0;
  FormatSettings formats;
  std::vector<engine::Sparsity> sparsities;    // of a synthetic model; never empty
  std::vector<Layout> layouts;                 // never empty
  std::vector<int> batches;                    // never empty
  int prefill_tokens = 0;
  int decode_tokens = 0;
  int max_step_tokens = 0;
  int repetitions = 0;
  int n_stages = 1;
  engine::KvType kv_type = engine::KvType::kBf16;
  std::string isa, values, cache, output, plot_file;

  int largest_batch() const;
};

/// kInvalidArgument for what cannot be read or does not go together. `n_cores` is what one rank uses by default.
Result<BenchOptions> read_bench_options(const Options& options, int n_cores);

/// "1x2,2x1": ranks x threads of each; "" is one rank with all cores.
Result<std::vector<Layout>> parse_layouts(const std::string& list, int n_cores);

}  // namespace colonnade::cli
