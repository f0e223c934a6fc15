// colonnade bench join: how long a join, a barrier's worth of waiting and a message take between ranks.
#pragma once

#include "engine/base/result.h"

namespace colonnade::cli {

/// Prints a table (Markdown) to stdout. Ranks are n_ranks threads of this process, or, where a launcher started this
/// process (mpirun -n N colonnade bench join), the ranks of its MPI job; rank 0 prints.
Status bench_join(int n_ranks);

}  // namespace colonnade::cli
