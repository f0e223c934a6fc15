// colonnade prune SOURCE -o DIR: a dense Hugging Face directory into a sparse one.
#include <algorithm>
#include <cstdio>
#include <numeric>

#include "coordinator/cli/command.h"
#include "coordinator/cli/prune_job.h"
#include "coordinator/cli/prune_settings.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/units.h"
#include "shard/prune/prune_model.h"

namespace colonnade::cli {
namespace {

constexpr std::size_t kWeakExpertsShown = 20;

Result<shard::PruneOptions> read_options(const Options& options) {
  COLONNADE_ASSIGN(shard::PruneOptions prune, read_prune_settings(options));
  COLONNADE_ASSIGN(prune.rules.method, shard::parse_prune_method(options.text("method")));
  COLONNADE_ASSIGN(prune.rules.structure, shard::parse_structure(options.text("structure")));
  COLONNADE_ASSIGN(prune.rules.values, shard::parse_pruned_values(options.text("values")));
  COLONNADE_ASSIGN(prune.layout, shard::parse_pruned_layout(options.text("layout")));
  prune.rules.refit = options.flag("refit");
  prune.rules.sparsity = options.number("sparsity");
  prune.threads = static_cast<int>(options.integer("threads"));
  prune.isa = options.text("isa");
  prune.stop_after_layers = static_cast<int>(options.integer("stop-after-layers"));
  if (const shard::Structure& structure = prune.rules.structure; structure.kept != 0) {
    const double sparsity = 1 - static_cast<double>(structure.kept) / static_cast<double>(structure.group);
    if (options.source("sparsity") != OptionSource::kDefault && prune.rules.sparsity != sparsity)
      return Error{ErrorCode::kInvalidArgument, text("prune: structure ", shard::structure_text(structure), " has sparsity ", sparsity,
                                                     ", found --sparsity ", prune.rules.sparsity)};
    if (prune.rates != shard::RateRule::kUniform)
      return Error{ErrorCode::kInvalidArgument, text("prune: expected --rates uniform with structure ", shard::structure_text(structure),
                                                     ", found ", options.text("rates"))};
    prune.rules.sparsity = sparsity;
  }
  return prune;
}

void print_report(const shard::PruneReport& report, const std::string& out) {
  for (std::size_t i = 0; i < std::min(report.weak_experts.size(), kWeakExpertsShown); ++i)
    log_warning(text("hardly reached by the calibration text, pruned by the statistics of all experts: ", report.weak_experts[i]));
  if (report.weak_experts.size() > kWeakExpertsShown)
    log_warning(text("and ", report.weak_experts.size() - kWeakExpertsShown, " experts more; a longer calibration text would reach them"));
  const double zeros = 100 * (1 - static_cast<double>(report.kept) / static_cast<double>(report.weights));
  const double error = 100 * std::accumulate(report.errors.begin(), report.errors.end(), 0.0) / static_cast<double>(report.errors.size());
  std::printf("%s: %.2f %% of %zu weights are zero", out.c_str(), zeros, report.weights);
  if (error > 0) std::printf(", %.2f %% of the matrices' output is lost on average", error);
  std::printf("; %s, %.3g weights/s, peak %s; pack it with: colonnade pack %s\n", format_seconds(report.seconds).c_str(),
              static_cast<double>(report.weights) / report.seconds, format_bytes(report.peak_bytes).c_str(), out.c_str());
}

int run(const Options& options) {
  const std::string out = options.text("output"), source = options.positional("SOURCE");
  if (out.empty())
    return fail({ErrorCode::kInvalidArgument, "prune: expected --output DIR, the directory to write, found none"});
  auto prune = read_options(options);
  if (!prune.ok()) return fail(prune.error());
  const PruneJob job{.n_ranks = options.is_set("ranks") ? static_cast<int>(options.integer("ranks")) : 0,
                     .hosts_file = options.text("hosts"), .out = out};
  const auto starts = starts_ranks(job);
  if (!starts.ok()) return fail(starts.error());
  if (*starts) return run_prune_job(job);
  const PruneEnd end = prune_as_rank(source, out, std::move(*prune),
                                     [&](shard::PruneOptions& to) { return read_calibration(options, source, to); });
  if (end.report) print_report(*end.report, out);
  return end.exit_status;
}

}  // namespace

const Command& prune_command() {
  static const Command command = [] {
    CommandSpec spec{
       .name = "prune",
       .summary = "Makes a dense model sparse: fewer weights to read for each token.",
       .details = "Layer by layer: a layer runs on calibration text, with all layers before it pruned already. What its\n"
                  "matrices are multiplied with is summed up, and weights are removed where that changes the output\n"
                  "least. Norms, router, embedding and head stay as they are. Memory holds one layer, the activations\n"
                  "of the text and the statistics of the layer; the need is stated first. A run that was interrupted\n"
                  "goes on where it was when it is started again.\n\n"
                  "DIR becomes a Hugging Face directory in BF16, with zeros written out or as sparse-bitmask. With\n"
                  "--values int8 or int4 the weights that are left take only values that pack --values int8 or int4\n"
                  "keeps exactly.\n\n"
                  "With --ranks or --hosts several processes share the text and the rows of each matrix. All read SOURCE, at the\n"
                  "same path on every host; only the first writes DIR. The bytes are the same on any number of ranks, and a run\n"
                  "that was interrupted may go on with another number.\n\n"
                  "  colonnade prune ~/models/Qwen3-8B -o /data/half --sparsity 0.5 --refit --calibration text.txt\n"
                  "  colonnade prune ~/models/Qwen3-8B -o /data/small --refit --values int4 --calibration text.txt\n"
                  "  colonnade pack /data/small -o /data/small-packed --values int4\n"
                  "  colonnade prune /data/Llama-70B -o /data/half --refit --calibration text.txt --hosts hostfile\n"
                  "How good the results are: docs/quality.md.",
       .positionals = {{"SOURCE", "a Hugging Face directory, plain or quantised, or a GGUF file"}},
       .options = {{.name = "output", .value_name = "DIR", .help = "The directory to write.", .short_name = 'o'},
                   {.name = "sparsity", .kind = OptionKind::kNumber, .default_value = "0.5", .value_name = "SHARE",
                    .help = "Share of the weights of attention and feed-forward that become zero.", .min = 0, .max = 0.99},
                   {.name = "method", .kind = OptionKind::kChoice, .default_value = "sparsegpt", .value_name = "METHOD",
                    .help = "Which weights: the smallest, the smallest times their input's norm, or by what all lose together.",
                    .choices = {"magnitude", "wanda", "sparsegpt"}},
                   {.name = "refit", .kind = OptionKind::kFlag, .default_value = "false",
                    .help = "Fit the weights that are left anew, by least squares."},
                   {.name = "structure", .default_value = "unstructured", .value_name = "PATTERN",
                    .help = "unstructured; 1x4: blocks of four neighbouring columns of a row; N:M, such as 2:4; or n:M, such as n:64, for as many of M neighbours as the sparsity says."},
                   {.name = "values", .kind = OptionKind::kChoice, .default_value = "bf16", .value_name = "VALUES",
                    .help = "Values that the weights that are left may take, rounded jointly with pruning.", .choices = {"bf16", "int8", "int4"}},
                   {.name = "layout", .kind = OptionKind::kChoice, .default_value = "dense", .value_name = "LAYOUT",
                    .help = "How the pruned matrices are written.", .choices = {"dense", "sparse-bitmask"}},
                   {.name = "isa", .value_name = "NAME", .help = "Instruction set; the best of this machine by default. Changes no bit."},
                   {.name = "threads", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N",
                    .help = "Threads of a rank; 0: all CPUs that were granted, or this rank's share of them. Changes no bit.", .min = 0, .max = 4096},
                   {.name = "ranks", .kind = OptionKind::kInt, .value_name = "N",
                    .help = "Ranks that share the work, started with mpirun; unset: none but this process, or what the host file offers. Changes no bit.",
                    .min = 1, .max = 65536},
                   {.name = "hosts", .value_name = "FILE", .help = "MPI host file; unset: this machine only."},
                   {.name = "stop-after-layers", .kind = OptionKind::kInt, .default_value = "-1", .value_name = "N",
                    .help = "End as if interrupted after N new layers.", .min = -1, .max = 1e6, .hidden = true}}};
    for (const Option& option : prune_setting_list()) spec.options.push_back(option);
    return Command{std::move(spec), run};
  }();
  return command;
}

}  // namespace colonnade::cli
