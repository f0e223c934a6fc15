// colonnade inspect MODEL: what a packed model, or one that is not packed yet, consists of.
#include <cstdio>

#include "coordinator/cli/command.h"
#include "coordinator/cli/inspect_report.h"
#include "coordinator/cli/inspect_source.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "engine/kernels/kernels.h"
#include "engine/platform/topology.h"
#include "shard/stored_model.h"
#include "shard/verify.h"

namespace colonnade::cli {
namespace {

void write_out(const std::string& output) { std::fwrite(output.data(), 1, output.size(), stdout); }

int run(const Options& options) {
  const std::string directory = options.positional("MODEL");
  if (!shard::is_packed_model(directory) && shard::check_stored_model(directory).ok()) {
    if (options.flag("verify")) return fail({ErrorCode::kInvalidArgument, text("inspect: ", directory, " is not packed: it has no checksums to --verify")});
    const auto stored = inspect_source(directory, options.flag("json"), options.flag("paths"));
    if (!stored.ok()) return fail(stored.error());
    write_out(*stored);
    return 0;
  }
  const auto manifest = shard::read_manifest(directory);
  if (!manifest.ok()) return fail(manifest.error());
  shard::FormatCosts costs = shard::built_in_costs();
  if (const std::string file = options.text("costs"); !file.empty()) {
    auto read = shard::read_costs(file);
    if (!read.ok()) return fail(read.error());
    costs = *std::move(read);
  }
  const auto kernels = engine::choose_kernels(options.text("isa"));
  if (!kernels.ok()) return fail(kernels.error());
  const auto topology = engine::read_topology();
  const int n_cores = topology.ok() && !topology->cores.empty() ? static_cast<int>(topology->cores.size()) : 1;
  const InspectReport report = inspect_manifest(*manifest, {costs, (*kernels)->name, n_cores});
  const bool as_json = options.flag("json");
  OrderedJson json = as_json ? inspect_json(*manifest, report) : OrderedJson{};
  if (as_json && options.flag("paths")) json["paths"] = paths_json(*manifest);
  if (!as_json) write_out(inspect_text(*manifest, report));
  if (!as_json && options.flag("paths")) write_out(text("\n", paths_text(*manifest)));

  if (options.flag("verify")) {
    const auto verified = shard::verify_blobs(*manifest, directory, static_cast<int>(options.integer("threads")));
    if (!verified.ok()) return fail(verified.error());
    const double rate = static_cast<double>(verified->bytes) / verified->seconds;
    if (as_json)
      json["verified"] = {{"bytes", verified->bytes}, {"seconds", verified->seconds}, {"threads", verified->threads}};
    else
      write_out(text("all ", manifest->paths.size(), " checksums are right: ", format_bytes(verified->bytes), " in ",
                     format_seconds(verified->seconds), ", ", format_rate(rate), " with ", verified->threads,
                     verified->threads == 1 ? " thread\n" : " threads\n"));
  }
  if (as_json) write_out(json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
  return 0;
}

}  // namespace

const Command& inspect_command() {
  static const Command command{
      {.name = "inspect",
       .summary = "Shows what a model consists of: sizes, densities, bits per weight, formats.",
       .details = "  colonnade inspect /data/qwen3\n"
                  "  colonnade inspect /data/qwen3 --costs costs.json\n"
                  "  colonnade inspect /data/qwen3 --verify\n"
                  "  colonnade inspect /data/qwen3 --paths --json\n"
                  "  colonnade inspect Qwen3-30B-A3B-Q4_K_M.gguf\n\n"
                  "Of a model that is not packed yet it shows how its tensors are stored.",
       .positionals = {{"MODEL", "a packed model, a Hugging Face directory or a GGUF file"}},
       .options = {{.name = "paths", .kind = OptionKind::kFlag, .default_value = "false", .help = "List every path, or every tensor."},
                   {.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print JSON."},
                   {.name = "verify", .kind = OptionKind::kFlag, .default_value = "false",
                    .help = "Read everything and compare the checksums."},
                   {.name = "costs", .value_name = "FILE",
                    .help = "Cost table for the predictions, from bench kernels --write-costs; a built-in one by default."},
                   {.name = "isa", .value_name = "NAME", .help = "Instruction set of the predictions; the best of this machine by default."},
                   {.name = "threads", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N",
                    .help = "Threads that verify; 0: all CPUs that were granted.", .min = 0, .max = 4096}}},
      run};
  return command;
}

}  // namespace colonnade::cli
