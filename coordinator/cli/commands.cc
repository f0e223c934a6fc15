// The list of commands, in the order of --help.
#include "coordinator/cli/command.h"

namespace colonnade::cli {

std::span<const Command* const> all_commands() {
  static const Command* const kCommands[] = {
      &serve_command(),
      &run_command(),
      &embed_command(),
      &pack_command(),
      &prune_command(),
      &inspect_command(),
      &plan_command(),
      &topology_command(),
      &doctor_command(),
      &bench_command(),
      &perplexity_command(),
      &quality_command(),
      &logits_command(),
      &tokenize_command(),
      &detokenize_command(),
      &template_command(),
      &worker_command(),
      &completion_command(),
  };
  return kCommands;
}

}  // namespace colonnade::cli
