// The attention half of a layer with multi-head latent attention (DeepSeek-V2, 2024), on one rank, in the absorbed form: a
// position is cached as one latent row for all heads and one rotated key beside it; a head's query is brought into the
// latent space, and what it finds there is brought out of it again. The same form for every number of tokens, so results
// depend on nothing but the position.
//
// Ranks share the rows of the projections to latents (a pre-join), then each has some heads, and the whole cache.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/base/comm.h"
#include "engine/model/activation_rows.h"
#include "engine/model/attention.h"
#include "engine/model/batch.h"
#include "engine/model/cache_attention.h"
#include "engine/model/rank_context.h"
#include "engine/model/weights.h"

namespace colonnade::engine {

/// Allocates only on construction. Driven by the step thread.
class LatentAttentionBlock {
 public:
  LatentAttentionBlock(const RankContext& context, std::span<const LayerWeights> layers);

  /// Floats of a token that the ranks exchange.
  static std::size_t joined_width(const LatentConfig& latent);

  /// join.contribution() (n_tokens, dim) = sum over the rank's heads of output(attention(…)). Writes the tokens' latents
  /// into `cache` first. `input` is the normalised block input, quantised where a matrix needs it. Errors are those of the
  /// pre-join.
  Status run(const LayerWeights& layer, const LayerCache& cache, const Batch& batch, const ActivationRows& input, Join& join);

 private:
  /// Matrices whose strips are shared out over the cores as if they were one.
  struct Product {
    const MatrixView* matrix;
    Activations input;
    float* out;
    std::size_t out_stride;
  };
  /// Some tokens of the step whose heads are computed together.
  struct Tile {
    const AttentionPath& path;
    int first_token, n_tokens;
  };

  void begin_products();
  void add_product(const MatrixView& matrix, const Activations& input, float* out, std::size_t out_stride);
  /// Inside the team's run(): a thread's share of the products.
  void multiply_share(int n_tokens, int thread) const;

  Status join_latents(const LayerWeights& layer, const Batch& batch, const ActivationRows& input, Join& join);
  /// Norms and rope of one token's latents; to the cache.
  void finish_latents(const LayerWeights& layer, const LayerCache& cache, const Batch& batch, int token,
                      const ActivationKinds& wanted);
  void run_tile(const LayerCache& cache, const Batch& batch, const ActivationRows& input, const Tile& tile, float* contribution);
  void finish_query(const Batch& batch, const Tile& tile, std::size_t head, int token);
  void output_tile(const Tile& tile, std::uint32_t first, std::uint32_t last, int thread, float* contribution);

  /// Tell the tap what matrices are multiplied with: before the heads, and after a tile of them.
  void show_latents(const LayerWeights& layer, const ActivationRows& input, int n_tokens) const;
  void show_values(const Tile& tile) const;

  /// A row of a head, or of an output matrix.
  std::size_t head_row(std::size_t head, int token_of_tile) const {
    return head * static_cast<std::size_t>(tile_tokens_) + static_cast<std::size_t>(token_of_tile);
  }

  const RankContext& context_;
  const LatentConfig& latent_;
  int tile_tokens_;
  std::size_t max_heads_;
  std::size_t padded_dim_;
  std::size_t joined_width_, latent_column_;  // of a row of joined_
  std::size_t projected_stride_, query_stride_;

  std::vector<Product> products_;
  std::vector<std::uint32_t> strips_;  // before each product
  AlignedBuffer<float> joined_;        // (max_tokens, joined_width): query latent, latent and rotated key
  ActivationRows query_latents_;       // (max_tokens) × query_dim, normalised
  AlignedBuffer<float> projected_;     // (tile, head): plain and rotated part of a query
  ActivationRows plain_;               // (head, tile) × plain_dim
  AlignedBuffer<float> queries_;       // (tile, head): in latent space, then the rotated part
  ActivationRows attended_;            // (head, tile) × latent dim
  ActivationRows values_;              // (output matrix, tile) × its columns: heads of value_dim side by side
  CacheAttention cache_attention_;
  std::vector<AlignedBuffer<float>> part_, sum_;  // per thread: a tile of one output matrix' product, of the sum
};

}  // namespace colonnade::engine
