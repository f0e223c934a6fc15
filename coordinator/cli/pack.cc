// colonnade pack SOURCE -o DIR: a Hugging Face directory or a GGUF file into a packed model.
#include <cstdio>

#include "coordinator/cli/command.h"
#include "coordinator/cli/format_settings.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "shard/model_source.h"

namespace colonnade::cli {
namespace {

int run(const Options& options) {
  const auto settings = read_format_settings(options, "format", "bf16");
  if (!settings.ok()) return fail(settings.error());
  shard::PackOptions pack;
  pack.rules = settings->rules;
  pack.threads = static_cast<int>(options.integer("threads"));
  pack.name = options.text("name");
  const std::string out = options.text("output");
  if (out.empty())
    return fail({ErrorCode::kInvalidArgument, "pack: expected --output DIR, the directory to write, found none"});
  const auto manifest = shard::pack_model(options.positional("SOURCE"), out, pack);
  if (!manifest.ok()) return fail(manifest.error());
  std::uint64_t bytes = 0;
  for (const shard::BlobFile& file : manifest->blob_files) bytes += file.bytes;
  std::printf("%s: %zu paths, %s in %zu file%s: %s; look at it with: colonnade inspect %s\n", out.c_str(),
              manifest->paths.size(), format_bytes(bytes).c_str(), manifest->blob_files.size(),
              manifest->blob_files.size() == 1 ? "" : "s", format_summary(manifest->paths, true).c_str(), out.c_str());
  return 0;
}

}  // namespace

const Command& pack_command() {
  static const Command command{
      {.name = "pack",
       .summary = "Packs a Hugging Face directory or a GGUF file into a model that any number of ranks can run.",
       .details = "SOURCE has config.json, *.safetensors (plain, sparse or quantised) and the tokenizer, or is a GGUF file\n"
                  "(of a split one, any). DIR must not exist or be empty. The need of disk and memory is stated first.\n"
                  "An interrupted pack leaves nothing that opens; the next one removes it.\n\n"
                  "Each matrix is stored in the format that decodes fastest by the cost table, of those that hold the values\n"
                  "that were asked for: a dense one, or a sparse one where enough of its weights are zero.\n\n"
                  "  colonnade pack deploy/demo -o /tmp/demo\n"
                  "  colonnade pack ~/models/Qwen3-30B-A3B --output /data/qwen3 --values int8\n"
                  "  colonnade pack Qwen3-30B-A3B-Q4_K_M.gguf --output /data/qwen3 --values int4\n"
                  "  colonnade bench kernels --write-costs costs.json\n"
                  "  colonnade pack ~/models/pruned --output /data/pruned --values int8 --head-values bf16 --costs costs.json",
       .positionals = {{"SOURCE", "a Hugging Face directory or a GGUF file"}},
       .options = {{.name = "output", .value_name = "DIR", .help = "The directory to write.", .short_name = 'o'},
                   {.name = "values", .kind = OptionKind::kChoice, .default_value = "bf16", .value_name = "VALUES",
                    .help = "Values that weights are stored as.", .choices = shard::value_names()},
                   {.name = "head-values", .kind = OptionKind::kChoice, .value_name = "VALUES",
                    .help = "The same for the output head; those of --values by default.", .choices = shard::value_names()},
                   {.name = "format", .kind = OptionKind::kChoice, .value_name = "NAME",
                    .help = "This format for all of attention and feed-forward, instead of the choice by cost.",
                    .choices = shard::format_names()},
                   {.name = "costs", .value_name = "FILE",
                    .help = "The cost table, from bench kernels --write-costs; a built-in one by default."},
                   {.name = "isa", .value_name = "NAME",
                    .help = "Instruction set to choose formats for; the best of this machine by default."},
                   {.name = "threads", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N",
                    .help = "Threads that encode; 0: all CPUs that were granted.", .min = 0, .max = 4096},
                   {.name = "name", .value_name = "NAME", .help = "The model's name (default: that of the directory)."}}},
      run};
  return command;
}

}  // namespace colonnade::cli
