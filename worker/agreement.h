// Before anything is loaded: all ranks of a job agree on the options and on the plan.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/comm.h"
#include "engine/platform/topology.h"
#include "shard/manifest.h"
#include "shard/plan.h"
#include "worker/heartbeat.h"
#include "worker/worker.h"

namespace colonnade::worker {

/// What a rank knows when all have agreed. The plan is computed by every rank for itself, from the same input.
struct Agreement {
  WorkerOptions options;        // this rank's, with the plan's part from rank 0
  shard::Manifest manifest;
  shard::Plan plan;
  engine::RankPlacement placement;
  int n_threads = 1;
  bool shares_cores = false;    // there are more threads than cores: do not spin
  int n_pages = 0;
  int n_window_pages = 0;       // engine/model/window_pages.h

  const shard::RankPlan& own(int rank) const { return plan.ranks[static_cast<std::size_t>(rank)]; }
  int head_leader() const { return plan.stages.back().ranks.front(); }
  std::vector<std::vector<int>> stage_ranks() const;
  /// "2 ranks, 1 stage, at most 1.2 GiB a rank, imbalance 0.4 %"
  std::string summary() const;
};

/// Collective over all ranks. Refuses a model that differs between hosts, and a plan that does not fit the memory
/// that the ranks were granted, with the numbers.
Result<Agreement> agree(Communicator& comm, const WorkerOptions& options, Heartbeat& heartbeat);

/// receive() that keeps the heartbeat going, for what may take long; `idle` (if any) is called on the way.
Status receive_alive(Communicator& comm, Heartbeat& heartbeat, int from, Channel channel, std::vector<std::byte>& out,
                     const std::function<void()>& idle = nullptr);

/// Every rank waits here until all have come; `idle` is called on the way.
Status meet_all(Communicator& comm, Heartbeat& heartbeat, const std::function<void()>& idle);

}  // namespace colonnade::worker
