// What the program that started this process gave it: the affinity mask, and whether that mask is meant.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace colonnade::engine {

/// False where the mask is only a default of the launcher: OpenMPI pins each rank of a job of one or two to one
/// core (two such jobs to the same), unless told otherwise. An explicit --bind-to shows in the environment.
/// `environment` maps a name to its value or nullptr.
bool binding_is_meant(const std::function<const char*(const char*)>& environment);

/// CPUs that this process may run on now.
std::vector<int> own_affinity();

/// CPUs that the launcher above this process (mpirun or its daemon) may run on: what was granted before it pinned
/// us. Empty when there is none.
std::vector<int> launcher_affinity();

}  // namespace colonnade::engine
