// What every block of a rank needs: passed by reference, owned by the executor.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/parallel.h"
#include "engine/base/units.h"
#include "engine/kernels/kernels.h"
#include "engine/model/config.h"
#include "engine/model/tap.h"

namespace colonnade::engine {

struct RankContext {
  const ModelConfig& config;
  const KernelTable& kernels;
  Parallel& team;
  KvType kv_type;
  int n_pages;
  int max_tokens;  // of a step
  ActivationTap* tap = nullptr;

  std::size_t dim() const { return static_cast<std::size_t>(config.dim); }
  std::size_t head_dim() const { return static_cast<std::size_t>(config.head_dim); }
  /// A page of one layer and KV head.
  static std::size_t cache_block_bytes(const ModelConfig& config, KvType type) {
    return config.latent.used() ? latent_block_bytes(config.head_dim, type) : kv_block_bytes(config.head_dim, type);
  }
  /// Whether so many tokens are multiplied with index-permute, gap and quad matrices by blocks.
  bool by_blocks(int n_tokens) const { return n_tokens >= kernels.least_turned_tokens; }
  float attention_scale() const {
    return config.attention_scale != 0.0f ? config.attention_scale : 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  }
  /// RMS norm, or layer norm where there is a bias.
  void normalize(const float* x, const float* weight, const float* bias, float* out) const {
    if (bias == nullptr) return kernels.rms_norm(x, weight, config.norm_eps, dim(), out);
    kernels.layer_norm(x, weight, bias, config.norm_eps, dim(), out);
  }
  /// gate becomes what a neuron gives.
  void activate(float* gate, const float* up, std::size_t count) const {
    switch (config.activation) {
      case Activation::kSilu: return kernels.silu_gate(gate, up, count);
      case Activation::kGeluTanh: return kernels.gelu_tanh_gate(gate, up, count);
      case Activation::kGeluErf: return kernels.gelu_erf(gate, count);
      case Activation::kClampedSwish:
        return kernels.clamped_swish_gate(gate, up, config.activation_limit, config.activation_steepness, count);
    }
  }
};

/// Most tokens of a step for which the column schedule is considered. Each core then writes tokens × dim floats a
/// path to its own slot, 4·dim·tokens bytes against the path's weights (768·dim in int8): with 4 tokens 2 %.
inline constexpr int kMaxColumnTokens = 4;

/// Output strips that a core finishes before it goes on to the next ones in the row schedule: 64 columns × 512
/// tokens × 4 bytes = 128 KiB for each of two tiles stay in L2.
inline constexpr std::uint32_t kTileStrips = 4;
inline constexpr std::size_t kTileColumns = kTileStrips * kStripRows;

/// The same for matrices that are multiplied as they are packed (index-permute, gap, quads) in blocks of tokens: a block is turned
/// once, and its groups of columns are read into L1 for each tile's strips, so tiles are as large, but of many strips and
/// few tokens.
inline constexpr std::uint32_t kWideTileStrips = 32;
inline constexpr int kWideTileTokens = kTurnedTokens;
inline std::size_t n_token_blocks(int n_tokens) { return div_up(static_cast<std::size_t>(n_tokens), std::size_t{kWideTileTokens}); }

/// The same where a tile is a sum over many matrices: with fewer tokens more strips, because each matrix' strips are one
/// stream of memory. One token from memory: tiles of 4 strips reached 0.76-0.90 of the column schedule's speed, these
/// 0.93-0.98.
inline constexpr std::size_t kSumTileFloats = 512 * kTileColumns;
inline std::uint32_t sum_tile_strips(int n_tokens) {
  return std::max(kTileStrips, static_cast<std::uint32_t>(kSumTileFloats / kStripRows / static_cast<std::size_t>(n_tokens)));
}
/// Output strips [first, end) of some tokens.
struct ProductTile {
  std::uint32_t first, end;
  int first_token, end_token;
  int n_tokens() const { return end_token - first_token; }
  std::size_t columns() const { return std::size_t{end - first} * kStripRows; }
};

/// Calls work(tile) for all tiles of a product: strips [first, last) by `step`, or by kWideTileStrips for each block of
/// kWideTileTokens tokens.
template <class Work>
void for_each_tile(std::uint32_t first, std::uint32_t last, std::uint32_t step, int n_tokens, bool blocks, const Work& work) {
  const std::uint32_t strips = blocks ? kWideTileStrips : step;
  for (std::uint32_t s = first; s < last; s += strips) {
    const std::uint32_t end = std::min(s + strips, last);
    if (!blocks) work(ProductTile{s, end, 0, n_tokens});
    for (int t = 0; blocks && t < n_tokens; t += kWideTileTokens) work(ProductTile{s, end, t, std::min(t + kWideTileTokens, n_tokens)});
  }
}

/// Floats of a tile of any kind.
static_assert(kSumTileFloats >= std::size_t{kWideTileStrips} * kStripRows * kWideTileTokens);
inline std::size_t tile_floats(int max_tokens) {
  return std::max(kSumTileFloats, static_cast<std::size_t>(max_tokens) * kTileColumns);
}

/// Strips of matrices of one format, at most kWideTileStrips, times n_tokens of a block of turned tokens: written to, or added to, a tile
/// (columns, kTurnedTokens). `next`: a group that is wanted afterwards, or nullptr. `part` is room for another tile.
inline void multiply_turned(const KernelTable& kernels, std::span<const StripRange> strips, const TurnedGroup* groups, const TurnedGroup* next,
                            int n_tokens, float* tile) {
  if (!strips.empty()) kernels.turned[static_cast<std::size_t>(strips.front().matrix->format)](strips, groups, next, n_tokens, tile);
}
inline void add_turned(const KernelTable& kernels, const StripRange& strips, const TurnedGroup* groups, const TurnedGroup* next, int n_tokens,
                       float* tile, float* part) {
  const MatrixView& matrix = *strips.matrix;
  if (matrix.cols <= kWideGroup) return kernels.add_turned[static_cast<std::size_t>(matrix.format)]({&strips, 1}, groups, next, n_tokens, tile);
  multiply_turned(kernels, {&strips, 1}, groups, next, n_tokens, part);
  kernels.add(tile, part, std::size_t{strips.last - strips.first} * kStripRows * kTurnedTokens);
}

inline void multiply(const KernelTable& kernels, const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                     const Activations& input, int n_tokens, float* out, std::size_t out_stride) {
  kernels.strips[static_cast<std::size_t>(matrix.format)](matrix, first, last, input, n_tokens, out, out_stride);
}

/// Where a block's sums go.
struct BlockSums {
  float* contribution;        // (n_tokens, dim): written,
  float* residual = nullptr;  // or, where this is given and the block can do that, left alone, and the sums are added here
};

/// Writes a turned tile to rows of `width` columns, of which it may pass the last, or adds it. `part`: room for a tile.
inline void turn_back_tile(const KernelTable& kernels, const ProductTile& tile, const float* turned, float* part, std::size_t width,
                           const BlockSums& sums) {
  const bool add = sums.residual != nullptr;
  float* const rows = add ? sums.residual : sums.contribution;
  const std::size_t begin = std::size_t{tile.first} * kStripRows, columns = tile.columns();
  float* const to = rows + static_cast<std::size_t>(tile.first_token) * width + begin;
  if (begin + columns <= width) return (add ? kernels.turn_back_and_add : kernels.turn_back)(turned, columns, tile.n_tokens(), to, width);
  kernels.turn_back(turned, columns, tile.n_tokens(), part, columns);
  for (std::size_t t = 0; t < static_cast<std::size_t>(tile.n_tokens()); ++t) {
    if (add) kernels.add(to + t * width, part + t * columns, width - begin);
    else std::copy_n(part + t * columns, width - begin, to + t * width);
  }
}

/// Where strip 0 of a tile would be whose column 0 is strip `first`. Kernels add 16 * first again; the detour over integers
/// keeps the shifted base from being a pointer outside of its array.
inline float* shifted_tile(float* tile, std::uint32_t first) {
  return reinterpret_cast<float*>(reinterpret_cast<std::uintptr_t>(tile) - static_cast<std::uintptr_t>(first) * kStripRows * sizeof(float));
}

/// multiply() into a tile whose column 0 is strip `first`, instead of strip 0.
inline void multiply_tile(const KernelTable& kernels, const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                          const Activations& input, int n_tokens, float* tile, std::size_t tile_stride) {
  multiply(kernels, matrix, first, last, input, n_tokens, shifted_tile(tile, first), tile_stride);
}

/// Adds a product to such a tile, whose rows lie one behind the other; `part` is room for as much.
inline void add_tile(const KernelTable& kernels, const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                     const Activations& input, int n_tokens, float* tile, float* part) {
  const std::size_t width = (last - first) * kStripRows;
  const StripsFunction add = kernels.add_strips[static_cast<std::size_t>(matrix.format)];
  if (add != nullptr && matrix.cols <= kMostAddedColumns)
    return add(matrix, first, last, input, n_tokens, shifted_tile(tile, first), width);
  multiply_tile(kernels, matrix, first, last, input, n_tokens, part, width);
  kernels.add(tile, part, static_cast<std::size_t>(n_tokens) * width);
}

}  // namespace colonnade::engine
