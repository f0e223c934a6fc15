// What it costs the cores of one rank to start together, to wait for one another and to add up what each has made.
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::cli {

struct JoinRow {
  std::string what;
  std::size_t bytes = 0;
  double median_us = 0;
  double p99_us = 0;
};

/// Sorts `seconds`.
JoinRow summarize(std::string what, std::size_t bytes, std::vector<double>& seconds);

/// On a team of pinned threads, one for each of `cpus`.
Result<std::vector<JoinRow>> measure_team(const std::vector<int>& cpus);

}  // namespace colonnade::cli
