// colonnade completion SHELL: prints a completion script.
#include <cstdio>
#include <vector>

#include "coordinator/cli/command.h"
#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

int run(const Options& options) {
  const std::string shell = options.positional("SHELL");
  if (shell != "bash")
    return fail({ErrorCode::kInvalidArgument, text("completion: expected the shell bash, found \"", shell, "\"")});
  std::vector<CommandSpec> specs;
  for (const Command* command : all_commands()) specs.push_back(command->spec);
  std::fputs(bash_completion(specs, "colonnade").c_str(), stdout);
  return 0;
}

}  // namespace

const Command& completion_command() {
  static const Command command{
      {.name = "completion",
       .summary = "Prints a completion script for the shell.",
       .details = "Use it in this shell:  eval \"$(colonnade completion bash)\"\n"
                  "or in every shell:     colonnade completion bash > ~/.local/share/bash-completion/completions/colonnade",
       .positionals = {{"SHELL", "bash"}},
       .options = {}},
      run};
  return command;
}

}  // namespace colonnade::cli
