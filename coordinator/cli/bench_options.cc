#include "coordinator/cli/bench_options.h"

#include <algorithm>
#include <charconv>

#include "coordinator/cli/output_file.h"
#include "coordinator/cli/value_list.h"
#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<std::vector<engine::Sparsity>> parse_sparsities(const Options& options) {
  const std::string list = options.text("sparsity").empty() ? "0" : options.text("sparsity");
  COLONNADE_ASSIGN(const std::vector<double> sparsities, number_list("--sparsity", list, 0, 1));
  std::vector<engine::Sparsity> all;
  for (const double sparsity : sparsities) {
    COLONNADE_ASSIGN(const engine::Sparsity one, engine::parse_sparsity(sparsity, options.text("structure")));
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
  }
  return all;
}

}  // namespace

int BenchOptions::largest_batch() const { return *std::max_element(batches.begin(), batches.end()); }

Result<std::vector<Layout>> parse_layouts(const std::string& list, int n_cores) {
  if (list.empty()) return std::vector<Layout>{{1, n_cores}};
  COLONNADE_ASSIGN(const std::vector<std::string> words, word_list("--layouts", list));
  std::vector<Layout> layouts;
  for (const std::string& word : words) {
    Layout layout;
    const char* const end = word.data() + word.size();
    const auto ranks = std::from_chars(word.data(), end, layout.n_ranks);
    const bool separated = ranks.ptr != end && *ranks.ptr == 'x';
    const auto threads = separated ? std::from_chars(ranks.ptr + 1, end, layout.threads) : ranks;
    if (ranks.ec != std::errc{} || !separated || threads.ec != std::errc{} || threads.ptr != end || layout.n_ranks < 1 ||
        layout.threads < 1 || layout.n_ranks > 1024 || layout.threads > 1024)
      return invalid(text("--layouts: expected RANKSxTHREADS such as 1x2,2x1, found \"", word, "\""));
    layouts.push_back(layout);
  }
  return layouts;
}

Result<BenchOptions> read_bench_options(const Options& options, int n_cores) {
  BenchOptions bench;
  bench.model = options.positional("WHAT");
  bench.shape = options.text("synthetic");
  if (!bench.model.empty() && !bench.shape.empty())
    return invalid(text("bench: expected a model or --synthetic SHAPE, found both ", bench.model, " and ", bench.shape));
  for (const char* name : {"sparsity", "structure", "weight-format", "layers", "head-values", "costs"})
    if (bench.shape.empty() && options.is_set(name) && options.source(name) != OptionSource::kDefault)
      return invalid(text("bench: expected --", name, " with --synthetic only: a model's weights are what they are"));
  bench.max_layers = static_cast<int>(options.integer("layers"));
  bench.prefill_tokens = static_cast<int>(options.integer("pp"));
  bench.decode_tokens = static_cast<int>(options.integer("tg"));
  bench.max_step_tokens = static_cast<int>(options.integer("max-step-tokens"));
  bench.repetitions = static_cast<int>(options.integer("repetitions"));
  bench.n_stages = static_cast<int>(options.integer("stages"));
  bench.kv_type = *engine::find_kv_type(options.text("kv"));
  bench.isa = options.text("isa");
  bench.values = options.text("values");
  bench.cache = options.text("cache");
  bench.output = options.text("format");
  bench.plot_file = options.text("plot");
  if (!bench.plot_file.empty()) COLONNADE_TRY(check_output_file("--plot", bench.plot_file));
  COLONNADE_ASSIGN(bench.formats, read_format_settings(options, "weight-format", "int8"));
  COLONNADE_ASSIGN(bench.sparsities, parse_sparsities(options));
  COLONNADE_ASSIGN(bench.layouts, parse_layouts(options.text("layouts"), n_cores));
  COLONNADE_ASSIGN(bench.batches, integer_list("--batch", options.text("batch"), 1, 4096));
  if (bench.batches.empty()) bench.batches = {1};
  if (bench.prefill_tokens == 0 && bench.decode_tokens == 0) return invalid("bench: expected --pp or --tg above 0, found 0 for both");
  if (bench.largest_batch() > bench.max_step_tokens)
    return invalid(text("--batch: expected at most --max-step-tokens ", bench.max_step_tokens, ", found ", bench.largest_batch()));
  return bench;
}

}  // namespace colonnade::cli
