// colonnade topology: what machine this is, what of it was granted, and how ranks would share it.
#include <cstdio>
#include <cstdlib>

#include "coordinator/cli/command.h"
#include "coordinator/cli/topology_report.h"
#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

/// Long enough that one interrupt does not show, short enough to wait for.
constexpr double kSecondsEach = 0.25;

Result<engine::Topology> read(const std::string& file) {
  if (file.empty()) return engine::read_topology();
  engine::TopologySources sources;
  sources.hwloc_synthetic = file;
  return engine::read_topology(sources);
}

Result<std::string> describe(const Options& options) {
  const std::string file = options.text("file");
  if (!file.empty() && options.flag("measure")) {
    return Error{ErrorCode::kInvalidArgument, "topology: --measure needs this machine, not one from --file"};
  }
  TopologyReport report;
  COLONNADE_ASSIGN(report.topology, read(file));
  report.ranks_suggested = !options.is_set("ranks");
  const int n_ranks =
      report.ranks_suggested ? engine::suggested_ranks(report.topology) : static_cast<int>(options.integer("ranks"));
  report.ranks = engine::place_ranks(report.topology, n_ranks);
  if (options.flag("measure")) report.bandwidth = measure_bandwidth(report.topology, kSecondsEach);
  if (options.flag("json")) return topology_json(report).dump(2) + "\n";
  return topology_text(report);
}

int run(const Options& options) {
  const Result<std::string> output = describe(options);
  if (!output.ok()) return fail(output.error());
  std::fwrite(output->data(), 1, output->size(), stdout);
  return 0;
}

}  // namespace

const Command& topology_command() {
  static const Command command{
      {.name = "topology",
       .summary = "Shows the CPUs and memory of this machine and how ranks would share them.",
       .details = "Counts what was granted: cpusets, CPU quotas and memory limits of control groups (versions 1 and 2),\n"
                  "SLURM_CPUS_PER_TASK and the binding of an MPI launcher are honoured, and each that took something away\n"
                  "is listed under limits.\n\n"
                  "  colonnade topology --measure\n"
                  "  colonnade topology --file 'pack:2 numa:1(memory=64GB) l3:4(size=32MB) core:8 pu:2' --ranks 3",
       .positionals = {},
       .options = {{.name = "ranks", .kind = OptionKind::kInt, .value_name = "N",
                    .help = "Place this many ranks (default: one for each NUMA node).", .min = 1, .max = 4096},
                   {.name = "measure", .kind = OptionKind::kFlag, .default_value = "false",
                    .help = "Measure the read bandwidth of every cache level and NUMA node; takes some seconds."},
                   {.name = "file", .value_name = "TOPOLOGY",
                    .help = "Another machine: an hwloc XML file or an hwloc synthetic description."},
                   {.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print JSON."}}},
      run};
  return command;
}

}  // namespace colonnade::cli
