// The attention half of a layer on one rank: for every KV-head group q, k, v, rope, cache, softmax, output; summed
// over the rank's paths in plan order. Both schedules give the same bits. Where the heads of all ranks are normalised
// together, the ranks exchange sums of squares in the middle (a pre-join).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/base/comm.h"
#include "engine/model/activation_rows.h"
#include "engine/model/batch.h"
#include "engine/model/cache_attention.h"
#include "engine/model/rank_context.h"
#include "engine/model/weights.h"

namespace colonnade::engine {

/// The KV blocks of one layer of this rank: (kv_slot, page).
struct LayerCache {
  std::byte* blocks = nullptr;
  std::size_t block_bytes = 0;
  std::size_t slot_bytes = 0;  // as many blocks as the group has pages
  PageGroup group = PageGroup::kAll;

  std::byte* slot(int kv_slot) const { return blocks + static_cast<std::size_t>(kv_slot) * slot_bytes; }
};

/// Allocates only on construction. Driven by the step thread.
class AttentionBlock {
 public:
  AttentionBlock(const RankContext& context, std::span<const LayerWeights> layers);

  /// join.contribution() (n_tokens, dim) = sum over the layer's paths and their output matrices of output(attention(…)).
  /// Writes the tokens' keys and values into `cache` first. `input` is the normalised block input, quantised where a
  /// matrix needs it. True when the sum was added to `residual` instead, which may be nullptr. Errors are those of a pre-join.
  Result<bool> run(const LayerConfig& shape, const LayerWeights& layer, const LayerCache& cache, const Batch& batch,
                   const ActivationRows& input, bool columns, Join& join, float* residual);

 private:
  struct Projection {  // one of q, k, v of a path, and where its results lie in a row of projected_
    const MatrixView* matrix;
    std::size_t column;
  };
  /// What one core projects and finishes: a path's key and value, or one of its query heads.
  struct Unit {
    std::size_t path;
    std::size_t head;                             // KV head or query head of the path
    std::size_t first_projection, n_projections;  // 2: key and value
    const float* bias;                            // of the query or key, or nullptr
    const float* norm;                            // likewise
    bool is_key() const { return n_projections == 2; }
  };
  struct Path {
    std::size_t first_unit, n_units;
    std::size_t query;         // column of projected_
    std::size_t first_output;  // local output matrix
  };
  struct Call {  // the arguments of run()
    const LayerConfig& shape;
    const LayerWeights& layer;
    const LayerCache& cache;
    const Batch& batch;
    const ActivationRows& input;
    bool projected;  // with biases, and join_factors_ are there
    BlockSums sums;
  };
  /// For each token what its queries and its keys are to be multiplied by.
  struct NormFactors {
    float query, key;
  };

  void lay_out(const LayerWeights& layer);
  std::uint32_t first_strip(std::size_t unit) const { return strips_[units_[unit].first_projection]; }
  /// Strips [first, last) of all projections, in their order.
  void project(const Call& call, std::size_t first, std::size_t last, int thread);
  /// Projections that are multiplied with a block of tokens together: up to kWideTileStrips strips of one format.
  class TurnedHeads {
   public:
    bool takes(const MatrixView& matrix, std::size_t n_strips) const {
      return count_ == 0 || (n_strips_ + n_strips <= kWideTileStrips && matrix.format == strips_[0].matrix->format);
    }
    void add(const Projection& projection, std::uint32_t first, std::uint32_t last) {
      strips_[count_] = {projection.matrix, first, last};
      columns_[count_++] = projection.column;
      n_strips_ += last - first;
    }
    std::span<const StripRange> strips() const { return {strips_, count_}; }
    std::size_t column(std::size_t i) const { return columns_[i]; }
    void clear() { count_ = n_strips_ = 0; }

   private:
    StripRange strips_[kWideTileStrips];
    std::size_t columns_[kWideTileStrips];
    std::size_t count_ = 0, n_strips_ = 0;
  };
  void project_turned(const Call& call, TurnedHeads& heads, const ProductTile& tokens, int thread);
  /// Projects everything and exchanges the sums of squares.
  Status project_jointly(const Call& call, Join& join);
  void add_bias(const Unit& unit, int token);
  /// Biases, head norms and rope of tokens [first, last); their keys and values go to the cache.
  void finish_unit(const Call& call, const Unit& unit, int first, int last);
  void finish_row(const Call& call, const Unit& unit, int token);
  void store_keys(const Call& call, const Unit& unit, int first, int last);
  float* first_row(const Unit& unit, int token) {
    return projected_.data() + static_cast<std::size_t>(token) * projected_stride_ + projections_[unit.first_projection].column;
  }
  CacheLayout cache_layout(const Call& call) const;
  /// All tokens' queries of one KV head of a path.
  QueryBlock query_block(const Call& call, std::size_t path, std::size_t kv_head);
  /// The int8 form of what one token attended to, where the output matrix needs it.
  void quantize_attended(const MatrixView& output, std::size_t local_output, std::size_t token);
  void run_columns(const Call& call);
  /// Inside the team's run(): a thread's share of the projections, finished.
  void project_rows(const Call& call, int thread);
  void run_rows(const Call& call);
  /// Tells the tap what this block's matrices were multiplied with.
  void show(const Call& call) const;
  void output_tile(const Call& call, const ProductTile& tile, int thread);
  /// Whether every output matrix of the layer takes blocks of so many tokens.
  bool outputs_are_turned(int n_tokens) const;
  /// The same from what quantize_block() has turned.
  void quantize_block(const Call& call, std::size_t local_output, std::size_t block);
  void output_turned(const Call& call, const ProductTile& tile, int thread);
  std::size_t output_block(std::size_t local_output, std::size_t block) const {
    return local_output * n_token_blocks(context_.max_tokens) + block;
  }
  std::size_t output_row(std::size_t local_output, std::size_t token) const {
    return local_output * static_cast<std::size_t>(context_.max_tokens) + token;
  }

  const RankContext& context_;
  std::size_t padded_head_;
  std::size_t padded_dim_;
  std::size_t projected_stride_;
  std::vector<Projection> projections_;
  std::vector<std::uint32_t> strips_;  // before each projection
  std::vector<Unit> units_;
  std::vector<Path> paths_;
  std::vector<const MatrixView*> outputs_;  // of all paths
  AlignedBuffer<float> projected_;   // (max_tokens, projected_stride): per path keys and values, queries
  ActivationRows attended_;          // (local output matrix, token) × its columns: query heads side by side
  AlignedBuffer<NormFactors> factors_;  // of a joint norm: (max_tokens)
  CacheAttention cache_attention_;
  AlignedBuffer<float> slots_;       // column schedule: (path, kMaxColumnTokens, padded_dim)
  std::vector<AlignedBuffer<float>> part_;  // per thread: one output matrix' or path's share of an output tile
  std::vector<AlignedBuffer<float>> path_sum_;
  std::vector<AlignedBuffer<float>> sum_;
};

}  // namespace colonnade::engine
