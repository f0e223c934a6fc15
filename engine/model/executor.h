// Runs steps on one rank: embedding, the stage's layers, the head and the choice of tokens, meeting the other ranks
// in joins. See docs/architecture.md "One token through the code".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/comm.h"
#include "engine/base/parallel.h"
#include "engine/base/result.h"
#include "engine/kernels/kernels.h"
#include "engine/model/config.h"
#include "engine/model/step.h"
#include "engine/model/tap.h"
#include "engine/model/weights.h"

namespace colonnade::engine {

enum class Schedule {
  kAuto,     // by the number of tokens
  kColumns,  // each core runs whole paths depth-wise, sums meet in the join
  kRows,     // strips shared out over the cores, a barrier in the middle of a block
};

struct ExecutorOptions {
  KvType kv_type = KvType::kBf16;
  int n_pages = 0;          // KV pages of kPageTokens positions
  int n_window_pages = 0;   // of layers with windows (window_pages.h); 0: they have no pages of their own
  int max_step_tokens = 512;
  int max_step_rows = 256;  // rows without full logits
  Schedule schedule = Schedule::kAuto;
  std::size_t shared_router_weights = std::size_t{1} << 20;  // router.h
  ActivationTap* tap = nullptr;  // must outlive the executor
};

/// Bytes of the KV pool of a rank: the pages of all its layers and KV slots.
std::size_t kv_pool_bytes(const ModelConfig& config, const RankWeights& weights, const ExecutorOptions& options);

class RankExecutor {
 public:
  virtual ~RankExecutor() = default;

  /// Executes `step` as this rank's part: receives activations from the previous stage and sends them to the next
  /// where there are several. Every rank of the job calls it for every step in the same order. On the head leader
  /// (first rank of the last stage) `result` is filled and true returned; elsewhere false. kInvalidArgument for a
  /// step that does not fit (indices, pages, sizes) before anything is computed; other errors mean a peer is gone.
  virtual Result<bool> run(const Step& step, StepResult& result) = 0;
};

/// stage_ranks[s] are the ranks of stage s, ascending; `kv_pool` has kv_pool_bytes() bytes, zeroed, 64-byte aligned.
/// Everything passed by reference, and the memory behind `weights`, must outlive the executor. Collective over all ranks
/// (creates the joins).
Result<std::unique_ptr<RankExecutor>> make_executor(const ModelConfig& config, RankWeights weights,
                                                    const KernelTable& kernels, Parallel& team, Communicator& comm,
                                                    const std::vector<std::vector<int>>& stage_ranks,
                                                    std::byte* kv_pool, const ExecutorOptions& options);

}  // namespace colonnade::engine
