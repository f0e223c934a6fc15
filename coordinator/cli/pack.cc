// colonnade pack SOURCE -o DIR: a Hugging Face directory into a packed model.
#include <cstdio>

#include "coordinator/cli/command.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "shard/model_source.h"

namespace colonnade::cli {
namespace {

int run(const Options& options) {
  shard::PackOptions pack;
  pack.values = engine::find_format(options.text("values"))->id();
  pack.threads = static_cast<int>(options.integer("threads"));
  pack.name = options.text("name");
  const std::string out = options.text("output");
  if (out.empty())
    return fail({ErrorCode::kInvalidArgument, "pack: expected --output DIR, the directory to write, found none"});
  const auto manifest = shard::pack_model(options.positional("SOURCE"), out, pack);
  if (!manifest.ok()) return fail(manifest.error());
  std::uint64_t bytes = 0;
  for (const shard::BlobFile& file : manifest->blob_files) bytes += file.bytes;
  std::printf("%s: %zu paths, %s in %zu file%s; look at it with: colonnade inspect %s\n", out.c_str(),
              manifest->paths.size(), format_bytes(bytes).c_str(), manifest->blob_files.size(),
              manifest->blob_files.size() == 1 ? "" : "s", out.c_str());
  return 0;
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const engine::Format* format : engine::all_formats()) names.emplace_back(format->name());
  return names;
}

}  // namespace

const Command& pack_command() {
  static const Command command{
      {.name = "pack",
       .summary = "Packs a Hugging Face directory into a model that any number of ranks can run.",
       .details = "SOURCE has config.json, *.safetensors (F32, F16, BF16; plain or sparse-bitmask) and the tokenizer. DIR must\n"
                  "not exist or be empty. The need of disk and memory is stated first. An interrupted pack leaves nothing\n"
                  "that opens; the next one removes it.\n\n"
                  "  colonnade pack deploy/demo -o /tmp/demo\n"
                  "  colonnade pack ~/models/Qwen3-30B-A3B --output /data/qwen3 --values int8",
       .positionals = {{"SOURCE", "a Hugging Face directory"}},
       .options = {{.name = "output", .value_name = "DIR", .help = "The directory to write.", .short_name = 'o'},
                   {.name = "values", .kind = OptionKind::kChoice, .default_value = "bf16", .value_name = "FORMAT",
                    .help = "How weights are stored.", .choices = format_names()},
                   {.name = "threads", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N",
                    .help = "Threads that encode; 0: all CPUs that were granted.", .min = 0, .max = 4096},
                   {.name = "name", .value_name = "NAME", .help = "The model's name (default: that of the directory)."}}},
      run};
  return command;
}

}  // namespace colonnade::cli
