// Softmax over the KV cache for the query heads of a step's tokens. A context is read in runs of kRunTokens positions;
// where there are fewer heads and tokens than keep the cores busy, cores share the runs of one query. The result does not
// depend on who computes which run.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/aligned_buffer.h"
#include "engine/model/batch.h"
#include "engine/model/rank_context.h"

namespace colonnade::engine {

/// What the blocks of a call have in common. Query head h of token first_token + t lies at queries + t * query_stride +
/// h * query_head_stride, its result goes to out + t * out_stride + h / out_heads * out_group_stride + h % out_heads * attended_dim
/// (64-byte aligned).
struct CacheLayout {
  std::size_t block_bytes;  // of the KV cache
  std::size_t query_stride, query_head_stride;
  std::size_t out_stride, out_group_stride;
  int out_heads;            // whose results lie side by side
  int window_tokens;        // 0: all
  bool window_chunks;       // LayerConfig::window_chunks
  bool whole_sequence;      // what comes later in the step is seen, too
  int first_token = 0;      // the token whose queries and results lie first
  PageGroup group = PageGroup::kAll;
};

/// The query heads of one KV head, for some consecutive tokens of one sequence.
struct QueryBlock {
  const std::byte* kv_blocks;  // of the KV head
  const float* queries;        // of CacheLayout::first_token
  float* out;                  // of the same: attended_dim values, and zeros up to a multiple of 16
  const float* sinks;          // by query head, or nullptr
  int n_heads;
  int first_token, n_tokens;   // of the step
  std::size_t path;            // for the caller
};

/// Allocates only on construction. Driven by the step thread.
class CacheAttention {
 public:
  /// max_heads: query heads of what add() is given. max_calls: of it, for a layer.
  CacheAttention(const RankContext& context, std::size_t max_heads, std::size_t max_calls);

  /// Calls visit(block) for blocks of `all` (consecutive tokens of the step) whose queries share what is read.
  template <typename Visit>
  static void for_each_block(const Batch& batch, const QueryBlock& all, const Visit& visit) {
    QueryBlock block = all;
    if (block.n_heads == 0) return;
    const int most = std::max(1, kBlockQueries / block.n_heads);
    const int end = all.first_token + all.n_tokens;
    for (int token = all.first_token; token < end; token += block.n_tokens) {
      block.first_token = token;
      block.n_tokens = std::min(most, std::min(end, batch.sequence_end(token)) - token);
      visit(block);
    }
  }

  /// One block on one thread.
  void attend(const CacheLayout& layout, const Batch& batch, const QueryBlock& block, int thread);

  /// Makes the list of blocks that run() works on.
  void clear() { blocks_.clear(); }
  void add(const Batch& batch, const QueryBlock& all) {
    for_each_block(batch, all, [&](const QueryBlock& block) { blocks_.push_back(block); });
  }

  /// Before work() on the list.
  void begin(const CacheLayout& layout, const Batch& batch);

  /// Inside the team's run(), by all threads: does all blocks of the list together. `finish(block)` follows each block on
  /// the thread that completed it. Others may still be at work when it returns.
  template <typename Finish>
  void work(const CacheLayout& layout, const Batch& batch, int thread, const Finish& finish) {
    for (;;) {
      for (std::size_t first = next_item_.fetch_add(grain_); first < n_items_; first = next_item_.fetch_add(grain_)) {
        for (std::size_t i = first; i < std::min(first + grain_, n_items_); ++i) {
          const QueryBlock* const done = do_item(layout, batch, i, thread);
          if (done != nullptr) finish(*done);
        }
      }
      if (next_block_ == blocks_.size()) return;
      context_.team.barrier();
      if (thread == 0) begin_wave();
      context_.team.barrier();
    }
  }

 private:
  /// Queries of a block: they share the keys and values of a run, and their scores fit into L1.
  static constexpr int kBlockQueries = 16;

  struct Runs {
    int first = 0, last = 0;  // inclusive
    std::size_t count() const { return static_cast<std::size_t>(last - first + 1); }
  };
  /// A block whose runs are shared: the parts of run r and query q lie at first_part + (r - runs.first) * queries + q.
  struct Shared {
    Runs runs;
    std::size_t first_part = 0;
    std::size_t first_item = 0;  // of the wave; one for each run
    std::atomic<std::size_t> left{0};  // runs
  };

  Runs runs_of(const CacheLayout& layout, const Batch& batch, const QueryBlock& block) const;
  /// What the queries of a block find in one run, where they see it; total is 0 where they do not. This thread goes on
  /// to read up to next_position.
  void attend_run(const CacheLayout& layout, const Batch& batch, const QueryBlock& block, int run, RunQuery* queries,
                  int next_position) const;
  /// Adds `count` queries' parts of one run to what they found before.
  void combine(RunQuery* before, const RunQuery* parts, std::size_t count) const;

  /// The queries of a block that begins on a thread: nothing found yet, sums go to its `out`.
  RunQuery* begin_block(const CacheLayout& layout, const QueryBlock& block, int thread);
  /// After the last run: divides the sums by the totals.
  void end_block(const QueryBlock& block, const RunQuery* done) const;

  /// As many further blocks as there is room for the parts of.
  void begin_wave();
  /// Returns the block that this completed, or nullptr.
  const QueryBlock* do_item(const CacheLayout& layout, const Batch& batch, std::size_t index, int thread);

  const RankContext& context_;
  std::size_t row_;          // floats of a sum: attended_dim padded to 16
  std::size_t max_queries_;  // of a block
  std::size_t max_shared_;   // blocks whose runs may be shared
  std::vector<QueryBlock> blocks_;

  // The run() in progress.
  bool shares_runs_ = false;
  std::size_t next_block_ = 0;  // of the next wave
  std::size_t n_items_ = 0;
  std::size_t grain_ = 1;  // neighbouring items that a thread takes at once: they share keys and values
  std::atomic<std::size_t> next_item_{0};
  std::unique_ptr<Shared[]> shared_;  // by block

  std::vector<RunQuery> parts_;      // of a wave; enough for one block at its longest
  AlignedBuffer<float> part_sums_;   // (parts, row)
  std::vector<RunQuery> done_;       // (threads, max_queries)
  std::vector<RunQuery> own_parts_;  // (threads, max_queries): of the run in hand
  AlignedBuffer<float> own_sums_;    // (threads, max_queries, row)
};

}  // namespace colonnade::engine
