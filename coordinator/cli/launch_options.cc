// The options of commands that start a job.
#include "coordinator/cli/launch.h"
#include "shard/format_choice.h"

namespace colonnade::cli {

std::vector<Option> launch_option_list() {
  return {
      {.name = "ranks", .kind = OptionKind::kInt, .value_name = "N",
       .help = "Ranks of the job; unset: one for each NUMA node, or what the host file offers.", .min = 1, .max = 65536},
      {.name = "stages", .kind = OptionKind::kInt, .default_value = "1", .value_name = "S",
       .help = "Pipeline stages: runs of layers, each held by its own ranks.", .min = 1, .max = 4096},
      {.name = "hosts", .value_name = "FILE", .help = "MPI host file; unset: this machine only."},
      {.name = "values", .kind = OptionKind::kChoice, .value_name = "TYPE",
       .help = "Values to pack a Hugging Face model with; unset: bf16.", .choices = shard::value_names()},
      {.name = "kv", .kind = OptionKind::kChoice, .default_value = "bf16", .value_name = "TYPE",
       .help = "Type of the KV cache.", .choices = {"bf16", "int8", "f32"}},
      {.name = "kv-tokens", .kind = OptionKind::kInt, .value_name = "N",
       .help = "KV cache in tokens over all sequences; unset: 32768, less where memory is short.", .min = 32, .max = 1e9},
      {.name = "kv-memory", .kind = OptionKind::kBytes, .value_name = "SIZE",
       .help = "KV cache as memory over all ranks, such as 8G, in place of --kv-tokens."},
      {.name = "context", .kind = OptionKind::kInt, .value_name = "N",
       .help = "Longest sequence in tokens; unset: the model's, bounded by the KV cache.", .min = 1, .max = 1e9},
      {.name = "max-step-tokens", .kind = OptionKind::kInt, .default_value = "512", .value_name = "N",
       .help = "Most tokens in one step; long prompts are read in such chunks.", .min = 1, .max = 65536},
      {.name = "prefix-reuse", .kind = OptionKind::kFlag, .default_value = "true",
       .help = "Compute equal beginnings of prompts once."},
      {.name = "isa", .value_name = "NAME", .help = "Instruction set of the kernels; unset: the best."},
      {.name = "threads", .kind = OptionKind::kInt, .value_name = "N",
       .help = "Threads of one rank; unset: its share of the granted cores.", .min = 1, .max = 4096},
      {.name = "cache", .value_name = "DIR", .help = "Where packed copies of Hugging Face models are kept."},
      {.name = "heartbeat-timeout", .kind = OptionKind::kNumber, .default_value = "15", .value_name = "SECONDS",
       .help = "A rank or job that is silent for so long is gone.", .min = 1, .max = 1e6},
      {.name = "step-timeout", .kind = OptionKind::kNumber, .default_value = "120", .value_name = "SECONDS",
       .help = "A step that takes longer means that the job hangs.", .min = 1, .max = 1e6},
      {.name = "ranks-as", .kind = OptionKind::kChoice, .default_value = "auto", .value_name = "WAY",
       .help = "Ranks as threads of this process or as processes.", .choices = {"auto", "threads", "processes"}, .hidden = true},
  };
}

Result<LaunchOptions> launch_options(const Options& options) {
  COLONNADE_ASSIGN(LaunchOptions launch, launch_settings(options));
  launch.model = options.positional("MODEL");
  launch.values = options.text("values");
  launch.cache = options.text("cache");
  return launch;
}

Result<LaunchOptions> launch_settings(const Options& options) {
  const auto number = [&](const char* name) { return options.is_set(name) ? options.integer(name) : 0; };
  LaunchOptions launch;
  launch.n_ranks = static_cast<int>(number("ranks"));
  launch.n_stages = static_cast<int>(number("stages"));
  const std::string ranks_as = options.text("ranks-as");
  launch.ranks_as = ranks_as == "threads" ? RanksAs::kThreads : ranks_as == "processes" ? RanksAs::kProcesses : RanksAs::kAuto;
  launch.hosts_file = options.text("hosts");
  launch.kv_type = *engine::find_kv_type(options.text("kv"));
  launch.kv_tokens = static_cast<std::uint64_t>(number("kv-tokens"));
  if (options.is_set("kv-memory")) launch.kv_bytes = options.bytes("kv-memory");
  if (launch.kv_bytes != 0 && launch.kv_tokens != 0)
    return Error{ErrorCode::kInvalidArgument, "--kv-memory: expected this or --kv-tokens, found both"};
  launch.context_tokens = static_cast<int>(number("context"));
  launch.max_step_tokens = static_cast<int>(number("max-step-tokens"));
  launch.isa = options.text("isa");
  launch.threads = static_cast<int>(number("threads"));
  launch.prefix_reuse = options.flag("prefix-reuse");
  launch.heartbeat_timeout_s = options.number("heartbeat-timeout");
  launch.step_timeout_s = options.number("step-timeout");
  return launch;
}

}  // namespace colonnade::cli
