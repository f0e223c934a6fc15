// An MPI host file, as far as the coordinator must understand it: which hosts, and how many ranks each may have.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::cli {

struct Host {
  std::string name;
  int slots = 0;  // 0: not said
};

/// Lines "HOST [slots=N] …" or "HOST:N", '#' begins a comment. kInvalidArgument names file and line.
Result<std::vector<Host>> read_host_file(const std::filesystem::path& path);

/// True for names of the machine that we run on.
bool is_this_host(const std::string& name);

}  // namespace colonnade::cli
