// What a job will be, before anything runs: the model, how many ranks, how much KV cache, and why.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/host_file.h"
#include "coordinator/cli/launch.h"
#include "engine/base/result.h"
#include "shard/model_source.h"
#include "shard/plan.h"
#include "worker/worker.h"

namespace colonnade::cli {

enum class JobKind {
  kThreads,      // ranks are threads of this process
  kProcess,      // one rank, a child process
  kMpi,          // several, children of an mpirun that we start
  kUnderMpi,     // we are rank 0 of a job that somebody else started
};

struct LaunchSetup {
  LaunchOptions options;
  JobKind kind = JobKind::kThreads;
  shard::OpenedModel model;
  shard::Plan plan;
  std::vector<Host> hosts;  // of the host file; empty: this machine
  int n_ranks = 1;
  bool oversubscribe = false;  // more ranks than mpirun would allow by itself
  int context_tokens = 0;
  worker::WorkerOptions worker;
  std::vector<std::string> choices;  // one fact a line, for people
};

/// Opens the model, packing it first where needed, and decides. kExhausted with the numbers when it does not fit.
Result<LaunchSetup> set_up_launch(const LaunchOptions& options);

/// How many ranks that would be; looks at no model.
Result<int> planned_ranks(const LaunchOptions& options);

}  // namespace colonnade::cli
