// The attention half of a layer on one rank: for every KV-head group q, k, v, rope, cache, softmax, output; summed
// over the rank's paths in plan order. Both schedules give the same bits.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/model/activation_rows.h"
#include "engine/model/batch.h"
#include "engine/model/rank_context.h"
#include "engine/model/weights.h"

namespace colonnade::engine {

/// The KV blocks of one layer of this rank: (kv_slot, page).
struct LayerCache {
  std::byte* blocks = nullptr;
  std::size_t block_bytes = 0;
  std::size_t slot_bytes = 0;  // n_pages blocks

  std::byte* slot(int kv_slot) const { return blocks + static_cast<std::size_t>(kv_slot) * slot_bytes; }
};

/// Allocates only on construction. Driven by the step thread.
class AttentionBlock {
 public:
  AttentionBlock(const RankContext& context, std::span<const LayerWeights> layers);

  /// contribution (n_tokens, dim) = sum over the layer's paths and their query heads of output(attention(…)). Writes
  /// the tokens' keys and values into `cache` first. `input` is the normalised block input, quantised where a matrix
  /// needs it.
  void run(const LayerConfig& shape, const LayerWeights& layer, const LayerCache& cache, const Batch& batch,
           const ActivationRows& input, bool columns, float* contribution);

 private:
  struct Projection {  // one of q, k, v of a path, and where its results lie in a row of projected_
    const MatrixView* matrix;
    std::size_t column;
  };
  struct PathColumns {  // where a path's parts lie
    std::size_t key, value, query;  // columns of projected_
    std::size_t first_head;         // local query head
  };

  void lay_out(const LayerWeights& layer);
  void project(const Projection& projection, std::uint32_t first, std::uint32_t last, const ActivationRows& input,
               int n_tokens);
  /// Biases, head norms and rope of one token; then its key and value go to the cache.
  void rotate_and_store(std::size_t path, const LayerWeights& layer, const LayerCache& cache, const Batch& batch, int token);
  /// Softmax over the cache for the path's query heads of one token.
  void attend(std::size_t path, const LayerConfig& shape, const LayerWeights& layer, const LayerCache& cache,
              const Batch& batch, int token);
  void run_columns(const LayerConfig& shape, const LayerWeights& layer, const LayerCache& cache, const Batch& batch,
                   const ActivationRows& input, float* contribution);
  void run_rows(const LayerConfig& shape, const LayerWeights& layer, const LayerCache& cache, const Batch& batch,
                const ActivationRows& input, float* contribution);
  void output_tile(const LayerWeights& layer, std::uint32_t first, std::uint32_t last, int n_tokens, int thread,
                   float* contribution);
  std::size_t head_row(std::size_t head, int token) const {
    return head * static_cast<std::size_t>(context_.max_tokens) + static_cast<std::size_t>(token);
  }

  const RankContext& context_;
  std::size_t padded_head_;
  std::size_t padded_dim_;
  std::size_t projected_stride_;
  std::vector<Projection> projections_;
  std::vector<std::uint32_t> projection_strips_;  // running sum
  std::vector<PathColumns> columns_;
  AlignedBuffer<float> projected_;   // (max_tokens, projected_stride): per path key, value, queries
  ActivationRows attended_;          // (local query head, token) × head_dim
  AlignedBuffer<float> slots_;       // column schedule: (path, kMaxColumnTokens, padded_dim)
  std::vector<AlignedBuffer<float>> part_;  // per thread: one head's or path's share of an output tile
  std::vector<AlignedBuffer<float>> path_sum_;
  std::vector<AlignedBuffer<float>> sum_;
};

}  // namespace colonnade::engine
