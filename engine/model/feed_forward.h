// The feed-forward half of a layer on one rank: for every neuron group, gate and up, activation, down; weighted by expert
// and summed over the rank's paths in plan order. Both schedules give the same bits.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/model/activation_rows.h"
#include "engine/model/rank_context.h"
#include "engine/model/router.h"
#include "engine/model/weights.h"

namespace colonnade::engine {

/// Allocates only on construction. Driven by the step thread.
class FeedForwardBlock {
 public:
  FeedForwardBlock(const RankContext& context, std::span<const LayerWeights> layers);

  /// Which of the layer's paths the step's tokens go to, and how many these are: nothing else of the layer is read.
  std::size_t choose_paths(const LayerWeights& layer, const Router& router);

  /// sums.contribution (n_tokens, dim) = sum over the chosen paths of weight * down(activate(gate(x), up(x))), or with
  /// RouterConfig::weighs_input of down(activate(gate(weight * x), up(weight * x))), for the tokens that the router gave to
  /// the path's expert. `input` is the normalised block input, quantised where a matrix
  /// needs it. True when the sums were added to sums.residual instead.
  bool run(const ActivationRows& input, int n_tokens, bool columns, const BlockSums& sums);

 private:
  /// A path with at least one token in this step. Its tokens' rows start at first_row of hidden_ and slots_.
  struct Unit {
    const FeedForwardPath* path;
    ExpertTokens experts;
    std::size_t first_row;
    std::size_t first_group = 0;  // of turned_, times the blocks of a step
    bool whole = false;           // every token with weight 1
    bool added_whole() const { return whole && path->down_bias == nullptr; }
  };

  /// Tells the tap what this block's matrices were multiplied with.
  void show(const ActivationRows& input) const;
  bool weighs_input() const { return context_.config.router.weighs_input; }
  /// What a unit gives its i-th token is multiplied by this.
  float output_weight(const Unit& unit, std::size_t i) const { return weighs_input() ? 1.0f : unit.experts.weights[i]; }
  /// Gate, up and activation for strips of a unit, and the int8 form where down needs it.
  void gate_up(const Unit& unit, std::uint32_t first, std::uint32_t last, const ActivationRows& input, int thread);
  void gate_up_tile(const Unit& unit, const ProductTile& tile, const ActivationRows& input, int thread);
  void run_columns(const ActivationRows& input, int n_tokens, float* contribution);
  void run_rows(const ActivationRows& input, int n_tokens, float* contribution);
  /// Whether gate, up and down of every unit take turned activations of all tokens.
  bool takes_turned(int n_tokens) const;
  void run_turned(const ActivationRows& input, int n_tokens, const BlockSums& sums);
  /// Gate, up and activation of a group of a unit's neurons, for a block of tokens.
  void gate_up_turned(const Unit& unit, std::size_t group, const ActivationRows& input, std::size_t block, std::size_t n_blocks,
                      int thread);
  void down_turned(const ProductTile& tile, std::size_t n_blocks, int thread, const BlockSums& sums);
  /// The groups of a unit's neurons for a block of tokens.
  TurnedGroup* turned(const Unit& unit, std::size_t block, std::size_t n_blocks) {
    return turned_.data() + unit.first_group * n_blocks + block * n_groups(*unit.path);
  }
  static std::size_t n_groups(const FeedForwardPath& path) { return div_up(std::size_t{path.gate.rows}, kWideGroup); }
  /// Of all tokens where a unit is not whole.
  void down_tile(const ProductTile& tile, int thread, float* contribution);

  const RankContext& context_;
  std::size_t padded_dim_;
  std::size_t max_neurons_;
  std::vector<Unit> units_;
  std::vector<std::uint32_t> cost_;       // running sum of strips × tokens over units_
  ActivationRows hidden_;                 // (token, path) pairs × neurons
  AlignedBuffer<TurnedGroup> turned_;     // of each unit: (blocks, groups of neurons)
  AlignedBuffer<float> slots_;            // column schedule: (pairs, padded_dim)
  std::vector<AlignedBuffer<float>> up_;  // per thread: (max_tokens, kTileColumns)
  std::vector<AlignedBuffer<float>> part_;  // per thread: a tile of one path's output, or of gate
  std::vector<AlignedBuffer<float>> sum_;   // per thread: a tile of the sum
};

}  // namespace colonnade::engine
