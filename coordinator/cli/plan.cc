// colonnade plan: who would hold what, before anything is packed or started.
#include <cstdio>
#include <filesystem>

#include "coordinator/cli/command.h"
#include "coordinator/cli/plan_machines.h"
#include "coordinator/cli/plan_prediction.h"
#include "coordinator/cli/plan_report.h"
#include "coordinator/cli/value_list.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "shard/format_choice.h"
#include "shard/hf_config.h"
#include "shard/known_shapes.h"
#include "shard/manifest.h"
#include "shard/synthetic.h"

namespace colonnade::cli {
namespace {

constexpr std::uint64_t kDefaultKvTokens = 4096;

struct Model {
  std::string name;
  engine::ModelConfig config;
  std::vector<shard::PathSpec> paths;
};

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<Model> read_packed(const std::filesystem::path& directory, const std::string& values) {
  COLONNADE_ASSIGN(shard::Manifest manifest, shard::read_manifest(directory));
  if (!values.empty())
    return invalid(text("plan: ", directory.string(), " is packed: its formats are settled, found --values ", values));
  return Model{manifest.name, std::move(manifest.config), std::move(manifest.paths)};
}

/// A packed model, a GGUF file, a Hugging Face directory (of which only config.json is read), a config.json, or a known shape.
Result<Model> read_model(const std::string& named, const std::string& values, const engine::Sparsity& sparsity,
                         const shard::FormatCosts& costs) {
  const std::filesystem::path path(named);
  std::error_code ignored;
  if (shard::is_packed_model(path)) {
    if (sparsity.density < 1) return invalid(text("plan: ", named, " is packed: its weights are settled, found --sparsity"));
    return read_packed(path, values);
  }
  Model model{.name = named, .config = {}, .paths = {}};
  if (std::filesystem::exists(path, ignored)) {
    COLONNADE_ASSIGN(model.config, shard::read_model_config(path));
  } else {
    Result<engine::ModelConfig> known = shard::known_shape(named);
    if (!known.ok())
      return Error{ErrorCode::kNotFound, text("plan: ", named, " does not exist; ", known.error().message)};
    model.config = *std::move(known);
  }
  const engine::Format* format = engine::find_format(values.empty() ? "bf16" : values);
  COLONNADE_CHECK(format != nullptr, "the choices of --values are not formats");
  if (sparsity.density >= 1) {
    model.paths = shard::enumerate_paths(model.config, shard::format_choice(format->id()));
    return model;
  }
  shard::FormatRules rules = shard::format_rules(format->id());
  rules.costs = &costs;
  COLONNADE_ASSIGN(const shard::SyntheticModel pruned, shard::SyntheticModel::make(named, {.rules = rules, .sparsity = sparsity}));
  model.paths = pruned.manifest().paths;
  return model;
}

Result<std::string> describe(const Options& options) {
  COLONNADE_ASSIGN(const engine::Sparsity sparsity, engine::parse_sparsity(options.number("sparsity"), options.text("structure")));
  shard::FormatCosts costs = shard::built_in_costs();
  if (const std::string file = options.text("costs"); !file.empty()) {
    COLONNADE_ASSIGN(costs, shard::read_costs(file));
  }
  COLONNADE_ASSIGN(const std::vector<int> batches, integer_list("plan: --batch", options.text("batch"), 1, 65536));
  COLONNADE_ASSIGN(const Model model, read_model(options.positional("MODEL"), options.text("values"), sparsity, costs));
  COLONNADE_ASSIGN(const PlannedMachines planned, read_planned_machines(options));
  const std::vector<shard::RankMachine>& machines = planned.machines;
  shard::PlanOptions plan_options;
  plan_options.n_stages = static_cast<int>(options.integer("stages"));
  plan_options.kv_tokens = options.is_set("context") ? static_cast<std::uint64_t>(options.integer("context"))
                                                     : std::min<std::uint64_t>(kDefaultKvTokens, static_cast<std::uint64_t>(
                                                                                                     model.config.max_context_tokens));
  plan_options.kv_type = *engine::find_kv_type(options.text("kv"));
  plan_options.max_step_tokens = static_cast<int>(options.integer("max-step-tokens"));
  Result<shard::Plan> plan = shard::make_plan(model.config, model.paths, machines, plan_options);
  if (!plan.ok()) {
    const char* hint = plan.error().code == ErrorCode::kExhausted && !options.is_set("memory")
                           ? " (--memory SIZE plans for ranks with other memory, 0 for any)"
                           : "";
    return Error{plan.error().code, text("plan: ", plan.error().message, hint)};
  }
  const PlanReport report{model.name, model.config, model.paths, machines, plan_options, *plan};
  std::vector<PredictedRow> predicted;
  std::string prediction;
  if (planned.cluster && !model.config.encoder) {
    const shard::PredictionInput input{model.config, model.paths, *plan, plan_options.kv_type, *planned.cluster, costs,
                                       shard::format_rules(engine::FormatId::kInt8).isa};
    predicted = predict_rows(input, batches, plan_options.kv_tokens, static_cast<int>(options.integer("prompt")),
                             plan_options.max_step_tokens);
    prediction = prediction_text(input, predicted, plan_options.kv_tokens);
  }
  if (options.flag("json")) {
    OrderedJson out = plan_json(report);
    if (planned.cluster) out["predicted"] = prediction_json(predicted);
    return dump_json(out, 2) + "\n";
  }
  return plan_text(report, options.flag("layers")) + prediction;
}

int run(const Options& options) {
  const Result<std::string> output = describe(options);
  if (!output.ok()) return fail(output.error());
  std::fwrite(output->data(), 1, output->size(), stdout);
  return 0;
}

}  // namespace

const Command& plan_command() {
  static const Command command{
      {.name = "plan",
       .summary = "Shows which rank would hold what of a model, and whether it fits.",
       .details =
           "The same function that a job uses: layers to stages, paths to ranks, bytes and memory of every rank. Nothing\n"
           "is packed or started. Ranks are those of this machine unless --memory or --topology says otherwise. Where the\n"
           "machines are known, also how many tokens a second to expect, and what the time goes to.\n\n"
           "  colonnade plan MODEL --ranks 5 --stages 2\n"
           "  colonnade plan llama-3.1-405b --values int8 --ranks 8 --memory 128G --context 65536\n"
           "  colonnade plan llama-3.1-405b --values int4 --sparsity 0.9 --ranks 8 --memory 128G\n"
           "  colonnade plan config.json --ranks 3 --speeds 1,1,2 --json\n"
           "  colonnade plan deepseek-v3 --values int4 --context 32768 --batch 1,16 \\\n"
           "    --topology hosts=4,sockets=2,cores=64,channels=12,rate=4800,l3=384M,memory=768G,network=200G",
       .positionals = {{.name = "MODEL",
                        .help = "A packed model, a GGUF file, a Hugging Face directory or its config.json (weights are not needed), or a "
                                "well-known shape such as llama-3.1-8b."}},
       .options = {{.name = "ranks", .kind = OptionKind::kInt, .value_name = "N",
                    .help = "Number of ranks (default: one for each NUMA node of the machine).", .min = 1, .max = shard::kMostRanks},
                   {.name = "stages", .kind = OptionKind::kInt, .default_value = "1", .value_name = "N",
                    .help = "Cut the layers into this many stages.", .min = 1, .max = 65536},
                   {.name = "topology", .value_name = "TOPOLOGY",
                    .help = "Another machine: an hwloc XML file, an hwloc synthetic description, or KEY=VALUE,... of "
                            "hosts, sockets (of a host), nodes (of a socket), cores (of a socket), channels, rate (MT/s) or "
                            "bandwidth (of a socket), memory (of a host), l3 (of a socket), network (bits/s), latency (us), speed "
                            "(of a core, relative to those of the cost table)."},
                   {.name = "memory", .kind = OptionKind::kBytes, .value_name = "SIZE",
                    .help = "Memory of each rank instead of the machine's; 0: no limit."},
                   {.name = "speeds", .value_name = "LIST", .help = "Speed of each rank in cores and bandwidth, such as 1,1,2, times that of the machine."},
                   {.name = "values", .kind = OptionKind::kChoice, .value_name = "FORMAT",
                    .help = "Weight values of a model that is not packed (default: bf16).", .choices = shard::value_names()},
                   {.name = "sparsity", .kind = OptionKind::kNumber, .default_value = "0", .value_name = "S",
                    .help = "As if this part of attention and feed-forward weights were zero, for a model that is not packed.",
                    .min = 0, .max = 1},
                   {.name = "structure", .value_name = "NAME", .help = "How zeros lie: unstructured, 1x4, n:64, 2:4."},
                   {.name = "context", .kind = OptionKind::kInt, .value_name = "N",
                    .help = "KV cache to reserve, in tokens over all sequences (default: 4096, at most the model's context).",
                    .min = 1, .max = 1e12},
                   {.name = "kv", .kind = OptionKind::kChoice, .default_value = "bf16", .value_name = "FORMAT",
                    .help = "KV cache values.", .choices = {"bf16", "int8", "f32"}},
                   {.name = "batch", .default_value = "1,8,64", .value_name = "N,...",
                    .help = "Sequences that get an answer at once, for the prediction; they share --context."},
                   {.name = "prompt", .kind = OptionKind::kInt, .default_value = "512", .value_name = "N",
                    .help = "Tokens of a prompt, for the prediction; 0: none.", .min = 0, .max = 1e6},
                   {.name = "costs", .value_name = "FILE",
                    .help = "Cost table of the machine (bench kernels --write-costs); a built-in one by default."},
                   {.name = "max-step-tokens", .kind = OptionKind::kInt, .default_value = "512", .value_name = "N",
                    .help = "Most tokens of one step, for the activation buffers.", .min = 1, .max = 65536},
                   {.name = "layers", .kind = OptionKind::kFlag, .default_value = "false",
                    .help = "Also print what each rank holds of every layer."},
                   {.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print JSON."}}},
      run};
  return command;
}

}  // namespace colonnade::cli
