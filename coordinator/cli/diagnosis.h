// From the facts of all hosts to what is wrong. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "coordinator/cli/host_facts.h"

namespace colonnade::cli {

enum class Severity { kFailure, kWarning };

struct Finding {
  Severity severity;
  std::string host;  // "" : all of them together
  std::string message;
};

/// Failures first. `hosts` in the order of the ranks; the first one is what others are compared with.
std::vector<Finding> diagnose(std::span<const HostFacts> hosts);

/// One line for every fact; a fact on which hosts differ has a line for every value, marked, with its hosts.
std::string facts_table(std::span<const HostFacts> hosts);

/// "warning  host: message" lines and a verdict.
std::string findings_text(std::span<const Finding> findings);

}  // namespace colonnade::cli
