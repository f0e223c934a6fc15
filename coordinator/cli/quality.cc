// colonnade quality: what pruning and rounding cost a model, as a table and a plot to choose from.
#include <algorithm>
#include <cstdio>

#include "coordinator/cli/command.h"
#include "coordinator/cli/orderly_stop.h"
#include "coordinator/cli/prune_settings.h"
#include "coordinator/cli/quality_run.h"
#include "coordinator/cli/value_list.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "shard/format_choice.h"
#include "shard/manifest.h"
#include "worker/mpi_job.h"

namespace colonnade::cli {
namespace {

Result<QualityAxes> read_axes(const Options& options) {
  QualityAxes axes;
  COLONNADE_ASSIGN(axes.sparsities, number_list("--sparsity", options.text("sparsity"), 0.01, 0.99));
  COLONNADE_ASSIGN(axes.values, word_list("--values", options.text("values")));
  for (const std::string& values : axes.values)
    if (!shard::parse_pruned_values(values).ok())
      return Error{ErrorCode::kInvalidArgument, text("--values: expected bf16, int8 or int4 with commas between them, found \"", values, "\"")};
  COLONNADE_ASSIGN(const auto methods, word_list("--methods", options.text("methods")));
  for (const std::string& word : methods) {
    COLONNADE_ASSIGN(const QualityMethod method, parse_quality_method("--methods", word));
    axes.methods.push_back(method);
  }
  COLONNADE_ASSIGN(const auto structures, word_list("--structure", options.text("structure")));
  for (const std::string& word : structures) {
    const auto structure = shard::parse_structure(word);
    if (!structure.ok()) return Error{ErrorCode::kInvalidArgument, text("--", structure.error().message)};
    axes.structures.push_back(*structure);
  }
  for (const std::string& model : options.list("also")) (shard::is_packed_model(model) ? axes.also_packed : axes.also).push_back(model);
  if (axes.values.empty()) return Error{ErrorCode::kInvalidArgument, "--values: expected at least one of bf16, int8 and int4, found none"};
  return axes;
}

/// Pruning of which some point has need, for the question of whether to calibrate.
void read_calibrated_rules(const QualityAxes& axes, shard::PruneOptions& prune) {
  prune.rules = {.method = shard::PruneMethod::kMagnitude};
  if (axes.sparsities.empty() && std::all_of(axes.structures.begin(), axes.structures.end(), [](const auto& s) { return s.kept == 0; })) return;
  for (const QualityMethod& method : axes.methods) {
    if (method.method != shard::PruneMethod::kMagnitude) prune.rules.method = method.method;
    prune.rules.refit = prune.rules.refit || method.refit;
  }
}

Status run_quality_command(const Options& options) {
  if (const auto launched = worker::launched_rank(); launched && launched->size > 1)
    return Error{ErrorCode::kInvalidArgument, "quality: expected to be started once, found a launcher's ranks; --ranks N evaluates with several"};
  QualitySettings settings;
  settings.source = options.positional("SOURCE");
  settings.out = options.text("output");
  settings.text_name = options.text("text");
  if (settings.out.empty())
    return Error{ErrorCode::kInvalidArgument, "quality: expected --output DIR, the directory to write, found none"};
  if (settings.text_name.empty())
    return Error{ErrorCode::kInvalidArgument, "quality: expected --text FILE, the text to predict, found none"};
  COLONNADE_ASSIGN(const QualityAxes axes, read_axes(options));
  settings.points = quality_points(axes);
  settings.rules = evaluation_rules(options);
  settings.head_values = options.text("head-values");
  settings.compare = options.flag("compare");
  settings.keep = options.flag("keep");
  COLONNADE_ASSIGN(settings.launch, launch_settings(options));
  COLONNADE_ASSIGN(settings.text, read_text(settings.text_name));
  COLONNADE_ASSIGN(settings.prune, read_prune_settings(options));
  settings.prune.threads = settings.launch.threads;
  settings.prune.isa = settings.launch.isa;
  read_calibrated_rules(axes, settings.prune);
  COLONNADE_TRY(read_calibration(options, settings.source, settings.prune));
  const std::filesystem::path calibration = options.text("calibration");
  settings.calibration_name = calibration.empty() ? "the built-in text" : calibration.filename().string();
  QualityFacts facts;
  const OrderlyStop stop;
  COLONNADE_ASSIGN(const std::vector<QualityRow> rows, run_quality(settings, facts));
  const std::string output = quality_text(rows, facts, options.text("format"));
  std::fwrite(output.data(), 1, output.size(), stdout);
  log_info(text("table.md, table.csv, table.json and plot.svg are in ", settings.out.string()));
  return {};
}

int run(const Options& options) {
  const Status status = run_quality_command(options);
  return status.ok() ? 0 : fail(status.error());
}

}  // namespace

const Command& quality_command() {
  static const Command command = [] {
    CommandSpec spec{
        .name = "quality",
        .summary = "Shows what pruning and rounding cost a model: a table and a plot to choose from.",
        .details = "SOURCE is pruned by every method to every sparsity, packed with all values, and each result is made\n"
                   "to predict a text: perplexity, bits per byte, distance from the dense model's predictions, and the\n"
                   "bytes of weights that one token reads. The dense model is there with the same values, and so are other\n"
                   "models (--also): a smaller dense one is what a sparse one has to beat.\n\n"
                   "DIR gets table.md, table.csv, table.json and plot.svg, anew after every point. A run that was\n"
                   "interrupted goes on where it was when it is started again; points that were measured with the same\n"
                   "options are not measured again. Pruned and packed models are removed when they have been measured.\n\n"
                   "Methods are magnitude, wanda and sparsegpt, each also with +refit. Without second moments (magnitude,\n"
                   "wanda) all values share one pruned model, which packing rounds; else pruning rounds jointly, for each\n"
                   "kind of values anew.\n\n"
                   "  colonnade quality ~/models/Qwen3-8B -o /data/quality --text valid.txt --calibration train.txt\n"
                   "  colonnade quality ~/models/Qwen3-8B -o /data/quality --text valid.txt --sparsity 0.5,0.75 \\\n"
                   "      --methods wanda,sparsegpt+refit --values int8,int4 --structure unstructured,2:4 \\\n"
                   "      --also ~/models/Qwen3-4B",
        .positionals = {{"SOURCE", "a dense model: a Hugging Face directory or a GGUF file"}},
        .options = {{.name = "output", .value_name = "DIR", .help = "The directory to write.", .short_name = 'o'},
                    {.name = "text", .value_name = "FILE", .help = "The text to predict: another than that of calibration."},
                    {.name = "sparsity", .default_value = "0.3,0.5,0.7,0.9", .value_name = "SHARE,...",
                     .help = "Shares of the weights of attention and feed-forward that become zero."},
                    {.name = "values", .default_value = "bf16,int8,int4", .value_name = "VALUES,...", .help = "Values to pack with: bf16, int8, int4."},
                    {.name = "methods", .default_value = "magnitude,wanda,sparsegpt,sparsegpt+refit", .value_name = "METHOD,...",
                     .help = "magnitude, wanda, sparsegpt, each alone or with +refit."},
                    {.name = "structure", .default_value = "unstructured", .value_name = "PATTERN,...",
                     .help = "unstructured; 1x4, blocks of four neighbours; N:M, such as 2:4, which has a sparsity of its own; or n:M, such as n:64."},
                    {.name = "also", .value_name = "MODEL",
                     .help = "Another model to measure: packed as it is, else with all values. Several times for several.", .repeatable = true},
                    {.name = "head-values", .kind = OptionKind::kChoice, .value_name = "VALUES",
                     .help = "Values of the output head; those of --values by default.", .choices = shard::value_names()},
                    {.name = "compare", .kind = OptionKind::kFlag, .default_value = "true",
                     .help = "Compare all predictions with those of the dense model in bf16: Kullback-Leibler divergence and how often both think the same token the likeliest."},
                    {.name = "keep", .kind = OptionKind::kFlag, .default_value = "false", .help = "Keep pruned and packed models, in DIR/work."},
                    {.name = "format", .kind = OptionKind::kChoice, .default_value = "md", .value_name = "FORMAT",
                     .help = "What to print: Markdown, CSV or JSON.", .choices = {"md", "csv", "json"}}}};
    for (const auto& list : {prune_setting_list(), evaluation_option_list(), launch_option_list()})
      for (const Option& option : list)
        if (option.name != "values" && option.name != "cache") spec.options.push_back(option);
    return Command{std::move(spec), run};
  }();
  return command;
}

}  // namespace colonnade::cli
