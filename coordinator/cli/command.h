// A subcommand: its specification (options, help) and what it does. One file per subcommand defines one
// `const Command&` function; commands.cc lists them.
#pragma once

#include <span>

#include "engine/base/options.h"

namespace colonnade::cli {

struct Command {
  CommandSpec spec;
  /// Returns the exit status: 0 success, 1 failure, 2 wrong usage. Prints its own errors with fail().
  int (*run)(const Options& options);
};

/// All commands in the order of --help.
std::span<const Command* const> all_commands();

/// Prints "colonnade: <message>" to stderr and returns the exit status for the code (2 for kInvalidArgument, else 1).
int fail(const Error& error);

const Command& serve_command();
const Command& run_command();
const Command& embed_command();
const Command& pack_command();
const Command& prune_command();
const Command& inspect_command();
const Command& plan_command();
const Command& topology_command();
const Command& bench_command();
const Command& perplexity_command();
const Command& quality_command();
const Command& logits_command();
const Command& tokenize_command();
const Command& detokenize_command();
const Command& template_command();
const Command& doctor_command();
const Command& worker_command();
const Command& completion_command();

}  // namespace colonnade::cli
