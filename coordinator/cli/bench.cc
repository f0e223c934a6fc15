// colonnade bench: how fast this machine runs a model, the kernels or the joins, against the machine's own limits.
#include "coordinator/cli/bench_grammar.h"
#include "coordinator/cli/bench_join.h"
#include "coordinator/cli/bench_kernels.h"
#include "coordinator/cli/bench_model.h"
#include "coordinator/cli/bench_tokenizer.h"
#include "coordinator/cli/command.h"
#include "shard/format_choice.h"

namespace colonnade::cli {
namespace {

int run(const Options& options) {
  const std::string what = options.positional("WHAT");
  if (what == "join") {
    const Status status = bench_join(static_cast<int>(options.integer("ranks")), options.text("format"));
    return status.ok() ? 0 : fail(status.error());
  }
  if (what == "tokenizer") {
    const Status status = bench_tokenizer(options.positional("MODEL"), options.positional("TEXT"),
                                          static_cast<int>(options.integer("repetitions")));
    return status.ok() ? 0 : fail(status.error());
  }
  if (what == "grammar") {
    if (options.positional("MODEL").empty()) return fail({ErrorCode::kInvalidArgument, "bench grammar: expected a MODEL whose vocabulary to use, found none"});
    const Status status = bench_grammar(options.positional("MODEL"), options.text("format"));
    return status.ok() ? 0 : fail(status.error());
  }
  if (what.empty() && options.text("synthetic").empty())
    return fail({ErrorCode::kInvalidArgument, "bench: expected a model, join, kernels, tokenizer, grammar or --synthetic SHAPE, found none of them"});
  const Status status = what == "kernels" ? bench_kernels(options) : bench_model(options);
  return status.ok() ? 0 : fail(status.error());
}

}  // namespace

const Command& bench_command() {
  static const Command command{
      {.name = "bench",
       .summary = "Measures tokens a second against the machine's read bandwidth.",
       .details = "  colonnade bench MODEL\n"
                  "  colonnade bench --synthetic llama-3.1-8b --values int4 --sparsity 0,0.5,0.9 --plot speed.svg\n"
                  "  colonnade bench --synthetic llama-3.2-1b --values int8 --layouts 1x2,2x1 --batch 1,4,16\n"
                  "pp512 is a prompt of 512 tokens, tg128 are 128 tokens one by one (of each sequence of a batch). GB/s are the\n"
                  "bytes of weights and KV cache that a step reads, times steps a second; beside it the fraction of a plain\n"
                  "streaming read by the same cores just before and after. Several layouts or sparsities are measured in turn,\n"
                  "A B A B ..., so that their ratio is of one run. Synthetic weights are random numbers of the real shape, packed\n"
                  "in the formats that pack would choose: no file is needed.\n\n"
                  "The multiplication of each format by each instruction set with 1 ... 256 tokens, from cache and from\n"
                  "memory, on all granted cores, against a plain read of as many bytes; and the cost table by which formats\n"
                  "are chosen:\n"
                  "  colonnade bench kernels --write-costs costs.json\n"
                  "  colonnade bench kernels --values int4 --isa avx512 --tokens 1 --sparsity 0.5,0.9 --place memory\n\n"
                  "How long the cores of a rank, and ranks, take to join, and messages between them:\n"
                  "  colonnade bench join --ranks 4\n"
                  "  mpirun -n 4 colonnade bench join\n\n"
                  "Text to tokens and back on one core, for any model or tokenizer file and any file of text:\n"
                  "  colonnade bench tokenizer MODEL TEXT\n\n"
                  "What constrained output costs for each token, with built-in grammars and a model's vocabulary:\n"
                  "  colonnade bench grammar MODEL",
       .positionals = {{.name = "WHAT", .help = "a Hugging Face directory, a GGUF file or a packed model; or the word join, kernels, tokenizer or grammar", .required = false},
                       {.name = "MODEL", .help = "for tokenizer and grammar: whose", .required = false},
                       {.name = "TEXT", .help = "for tokenizer: a file of text", .required = false}},
       .options = {
           {.name = "synthetic", .kind = OptionKind::kText, .value_name = "SHAPE,...", .help = "Random weights in the shape of a well-known model, or of a config.json."},
           {.name = "values", .kind = OptionKind::kChoice, .value_name = "VALUES", .help = "Values of the weights; int8 for synthetic models. For kernels: only formats of these.", .choices = shard::value_names()},
           {.name = "sparsity", .kind = OptionKind::kText, .value_name = "S,...", .help = "Zeros of synthetic attention and feed-forward weights, 0 to 1; 0 by default. For kernels: 0.5,0.75,0.9,0.95."},
           {.name = "structure", .kind = OptionKind::kText, .value_name = "NAME", .help = "How zeros lie: unstructured, 1x4, n:64, n:128, 2:4. For kernels several; unstructured,n:64 by default."},
           {.name = "head-values", .kind = OptionKind::kChoice, .value_name = "VALUES", .help = "Values of a synthetic output head; those of --values by default.", .choices = shard::value_names()},
           {.name = "weight-format", .kind = OptionKind::kText, .value_name = "NAME", .help = "Packed format of synthetic weights instead of the choice by cost. For kernels several; all by default."},
           {.name = "costs", .kind = OptionKind::kText, .value_name = "FILE", .help = "Cost table by which formats are chosen; a built-in one by default."},
           {.name = "layers", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Only the first N layers of a synthetic model; 0: all.", .min = 0, .max = 1e6},
           {.name = "pp", .kind = OptionKind::kInt, .default_value = "512", .value_name = "TOKENS", .help = "Tokens of the prompt; 0 leaves prefill out.", .min = 0, .max = 1 << 20},
           {.name = "tg", .kind = OptionKind::kInt, .default_value = "128", .value_name = "TOKENS", .help = "Tokens to generate; 0 leaves decode out.", .min = 0, .max = 1 << 20},
           {.name = "batch", .kind = OptionKind::kText, .default_value = "1", .value_name = "N,...", .help = "Sequences that generate at once."},
           {.name = "max-step-tokens", .kind = OptionKind::kInt, .default_value = "512", .value_name = "TOKENS", .help = "Tokens of one step of the prompt.", .min = 1, .max = 65536},
           {.name = "repetitions", .kind = OptionKind::kInt, .default_value = "3", .value_name = "N", .help = "Rounds over all layouts.", .min = 1, .max = 1000},
           {.name = "layouts", .kind = OptionKind::kText, .value_name = "RxT,...", .help = "Ranks x threads of each; one rank with all granted cores by default."},
           {.name = "ranks", .kind = OptionKind::kInt, .default_value = "2", .value_name = "N", .help = "Ranks as threads, for join.", .min = 1, .max = 256},
           {.name = "stages", .kind = OptionKind::kInt, .default_value = "1", .value_name = "N", .help = "Pipeline stages.", .min = 1},
           {.name = "kv", .kind = OptionKind::kChoice, .default_value = "bf16", .value_name = "TYPE", .help = "Numbers of the KV cache.", .choices = {"bf16", "int8", "f32"}},
           {.name = "tokens", .kind = OptionKind::kText, .default_value = "1,4,16,64,256", .value_name = "N,...", .help = "Tokens of a multiplication, for kernels."},
           {.name = "cols", .kind = OptionKind::kInt, .default_value = "2048", .value_name = "N", .help = "Columns of the matrices, for kernels.", .min = 1, .max = 1 << 20},
           {.name = "place", .kind = OptionKind::kChoice, .value_name = "PLACE", .help = "Where the strips of kernels lie; both by default.", .choices = {"L2", "memory"}},
           {.name = "write-costs", .kind = OptionKind::kText, .value_name = "FILE", .help = "Write the cost table of kernels, for --costs here and in pack."},
           {.name = "isa", .kind = OptionKind::kText, .value_name = "NAME", .help = "Instruction set; the best by default."},
           {.name = "cache", .kind = OptionKind::kText, .value_name = "DIR", .help = "Where a Hugging Face directory or GGUF file is packed to first."},
           {.name = "format", .kind = OptionKind::kChoice, .default_value = "md", .value_name = "FORMAT", .help = "Markdown, CSV or JSON.", .choices = {"md", "csv", "json"}},
           {.name = "plot", .kind = OptionKind::kText, .value_name = "FILE.svg", .help = "Also draw tokens a second against sparsity."},
       }},
      run};
  return command;
}

}  // namespace colonnade::cli
