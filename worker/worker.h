// A rank's life: agree on the plan, load the slice, run steps until told to leave.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/comm.h"
#include "engine/base/result.h"
#include "engine/kernels/kernels.h"

namespace colonnade::worker {

/// A member that has not come to a join after so many step timeouts hangs: the coordinator, which watches steps, is to be
/// the first to notice.
inline constexpr double kJoinTimeoutFactor = 1.5;

struct WorkerOptions {
  std::filesystem::path model;      // a packed model
  int n_stages = 1;
  engine::KvType kv_type = engine::KvType::kBf16;
  std::uint64_t kv_tokens = 4096;   // KV cache over all sequences
  int max_step_tokens = 512;
  std::string isa;                  // "" : the best
  int threads = 0;                  // of this rank; 0: its share of the granted cores
  std::vector<double> speeds;       // of the ranks, for the plan; empty: all alike
  bool verify = true;               // checksums while loading

  // Rank 0 only.
  std::string control;              // where it listens: "unix:/path", "tcp:host:port"
  std::string secret;               // what the coordinator must know
  double grace_s = 60;              // without a coordinator for so long, the job ends itself

  double heartbeat_timeout_s = 15;  // a rank that is silent for so long is gone
  double step_timeout_s = 120;      // the same while it has steps to run; joins wait kJoinTimeoutFactor times as long
  bool quiet = false;               // leaves log lines to rank 0: for ranks that are threads of one process
};

/// Runs one rank of a job; every rank calls it with its own communicator. What concerns the plan (stages, KV, step
/// tokens, speeds) is taken from rank 0; where the model lies is each rank's own affair, but it must be the same one. Returns when the coordinator sent Shutdown and all steps are done.
/// An error is one line for people; the caller then ends the job (ThreadJob::end, MpiSession::abort), since other ranks
/// may be waiting for this one.
Status run_worker(Communicator& comm, const WorkerOptions& options);

}  // namespace colonnade::worker
