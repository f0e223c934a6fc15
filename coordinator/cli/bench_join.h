// colonnade bench join: how long a join and a message take between ranks, and a barrier and a sum inside one.
#pragma once

#include <string>

#include "engine/base/result.h"

namespace colonnade::cli {

/// Prints a table ("md", "csv" or "json") to stdout. Ranks are n_ranks threads of this process, and the thread team of one rank
/// on all granted cores is measured before them; or, where a launcher started this process (mpirun -n N colonnade bench
/// join), ranks are those of its MPI job; rank 0 prints.
Status bench_join(int n_ranks, const std::string& format);

}  // namespace colonnade::cli
