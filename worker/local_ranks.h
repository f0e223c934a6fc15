// Ranks as threads that the caller drives step by step, without a control link: for benchmarks of the engine and for
// tests of the forward pass. Serving uses in_process_job.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/model/executor.h"
#include "engine/model/step.h"
#include "engine/platform/memory.h"
#include "shard/manifest.h"
#include "shard/plan.h"
#include "shard/slice.h"

namespace colonnade::worker {

struct LocalRanksOptions {
  engine::KvType kv_type = engine::KvType::kBf16;
  int n_pages = 64;
  int n_window_pages = 0;    // engine::ExecutorOptions
  int max_step_tokens = 512;
  int threads_per_rank = 1;
  std::vector<int> cpus;     // thread t of rank r is pinned to cpus[r * threads_per_rank + t]; empty: not pinned
  std::string isa;           // "" : the best
  engine::Schedule schedule = engine::Schedule::kAuto;
  std::size_t shared_router_weights = engine::ExecutorOptions{}.shared_router_weights;
  engine::ActivationTap* tap = nullptr;  // called by the threads of all ranks; must outlive them
};

/// The weights of one rank, laid out as `layout` says. Called on the rank's own thread.
using SliceProvider = std::function<Result<engine::HugeMemory>(int rank, const shard::SliceLayout& layout)>;

/// Reads slices from the blob files of a packed model.
SliceProvider slices_of(const shard::Manifest& manifest, std::filesystem::path directory);

/// Used by one thread, which is rank 0.
class LocalRanks {
 public:
  /// `manifest` and `plan` must outlive the object.
  static Result<std::unique_ptr<LocalRanks>> start(const shard::Manifest& manifest, const shard::Plan& plan,
                                                   const SliceProvider& slices, const LocalRanksOptions& options);
  ~LocalRanks();

  /// Runs one step on all ranks and waits for its result.
  Status run(const engine::Step& step, engine::StepResult& result);

  const char* kernels() const;  // "avx512"

 private:
  struct State;
  explicit LocalRanks(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::worker
