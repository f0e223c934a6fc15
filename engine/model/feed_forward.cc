#include "engine/model/feed_forward.h"

#include <algorithm>
#include <cstring>

#include "engine/base/units.h"

namespace colonnade::engine {
namespace {

/// The most paths that one token can touch in any layer: those of its n_active experts with the most paths here, and
/// of the shared expert.
std::size_t most_paths_of_a_token(const ModelConfig& config, std::span<const LayerWeights> layers) {
  std::size_t most = 0;
  for (const LayerWeights& layer : layers) {
    std::vector<std::size_t> paths_by_expert;
    std::size_t paths = 0;
    for (const FeedForwardPath& path : layer.feed_forward) {
      if (path.shared) {
        ++paths;
        continue;
      }
      const auto expert = static_cast<std::size_t>(path.expert);
      if (expert >= paths_by_expert.size()) paths_by_expert.resize(expert + 1);
      ++paths_by_expert[expert];
    }
    std::sort(paths_by_expert.begin(), paths_by_expert.end(), std::greater<>());
    int n_active = 1;
    for (const LayerConfig& shape : config.layers) n_active = std::max(n_active, shape.n_active);
    for (std::size_t i = 0; i < paths_by_expert.size() && i < static_cast<std::size_t>(n_active); ++i)
      paths += paths_by_expert[i];
    most = std::max(most, paths);
  }
  return most;
}

std::size_t most_neurons_of_a_path(std::span<const LayerWeights> layers) {
  std::size_t most = 0;
  for (const LayerWeights& layer : layers)
    for (const FeedForwardPath& path : layer.feed_forward) most = std::max<std::size_t>(most, path.gate.rows);
  return most;
}

/// Groups of neurons of the layers whose every path takes all tokens.
std::size_t most_turned_groups(std::span<const LayerWeights> layers) {
  std::size_t most = 0;
  for (const LayerWeights& layer : layers) {
    std::size_t groups = 0;
    for (const FeedForwardPath& path : layer.feed_forward)
      if (wanted_by(path.gate).wide && wanted_by(path.down).wide) groups += div_up(std::size_t{path.gate.rows}, kWideGroup);
    if (layer.router == nullptr) most = std::max(most, groups);
  }
  return most;
}

std::size_t most_paths_of_a_layer(std::span<const LayerWeights> layers) {
  std::size_t most = 0;
  for (const LayerWeights& layer : layers) most = std::max(most, layer.feed_forward.size());
  return most;
}

/// Strips of gate and up that one core takes at least: their neurons are whole activation groups of what down reads.
std::uint32_t granule_strips(const FeedForwardPath& path) {
  return wanted_by(path.down).wide ? static_cast<std::uint32_t>(kWideGroup / kStripRows) : kTileStrips;
}

/// All tokens, in their order and with weight 1: what comes of them is added as it is.
bool takes_all(const ExpertTokens& experts, int n_tokens) {
  if (experts.tokens.size() != static_cast<std::size_t>(n_tokens)) return false;
  for (std::size_t i = 0; i < experts.tokens.size(); ++i)
    if (experts.tokens[i] != static_cast<std::int32_t>(i) || experts.weights[i] != 1.0f) return false;
  return true;
}

std::vector<AlignedBuffer<float>> tiles(const RankContext& context) {
  std::vector<AlignedBuffer<float>> result;
  for (int i = 0; i < context.team.size(); ++i)
    result.emplace_back(tile_floats(context.max_tokens));
  return result;
}

}  // namespace

FeedForwardBlock::FeedForwardBlock(const RankContext& context, std::span<const LayerWeights> layers)
    : context_(context),
      padded_dim_(round_up(context.dim(), kStripRows)),
      max_neurons_(most_neurons_of_a_path(layers)),
      hidden_(static_cast<std::size_t>(context.max_tokens) * most_paths_of_a_token(context.config, layers),
              max_neurons_),
      turned_(n_token_blocks(context.max_tokens) * most_turned_groups(layers)),
      slots_(static_cast<std::size_t>(kMaxColumnTokens) * most_paths_of_a_token(context.config, layers) * padded_dim_),
      up_(tiles(context)),
      part_(tiles(context)),
      sum_(tiles(context)) {
  units_.reserve(most_paths_of_a_layer(layers));
  cost_.reserve(most_paths_of_a_layer(layers) + 1);
}

bool FeedForwardBlock::run(const ActivationRows& input, int n_tokens, bool columns, const BlockSums& sums) {
  for (Unit& unit : units_) unit.whole = takes_all(unit.experts, n_tokens);
  const bool by_blocks = !columns && takes_turned(n_tokens);
  if (columns) {
    run_columns(input, n_tokens, sums.contribution);
  } else if (by_blocks) {
    run_turned(input, n_tokens, sums);
  } else {
    run_rows(input, n_tokens, sums.contribution);
  }
  if (context_.tap != nullptr) show(input);
  return by_blocks && sums.residual != nullptr;
}

void FeedForwardBlock::show(const ActivationRows& input) const {
  for (const Unit& unit : units_) {
    const auto n_tokens = static_cast<int>(unit.experts.tokens.size());
    const Activations rows = input.view(0, unit.experts.tokens.data());
    context_.tap->multiplied(unit.path->gate, rows, n_tokens);
    context_.tap->multiplied(unit.path->up, rows, n_tokens);
    context_.tap->multiplied(unit.path->down, hidden_.view(unit.first_row), n_tokens);
  }
}

bool FeedForwardBlock::takes_turned(int n_tokens) const {
  if (!context_.by_blocks(n_tokens) || context_.tap != nullptr) return false;  // a tap sees rows
  std::size_t groups = 0;
  for (const Unit& unit : units_) groups += n_groups(*unit.path);
  if (groups * n_token_blocks(n_tokens) > turned_.size()) return false;  // experts
  return std::all_of(units_.begin(), units_.end(), [&](const Unit& unit) {
    const FeedForwardPath& path = *unit.path;
    return unit.whole && wanted_by(path.gate).wide && wanted_by(path.down).wide && (!context_.config.gated() || wanted_by(path.up).wide);
  });
}

std::size_t FeedForwardBlock::choose_paths(const LayerWeights& layer, const Router& router) {
  units_.clear();
  std::size_t row = 0;
  for (const FeedForwardPath& path : layer.feed_forward) {
    const ExpertTokens experts = router.expert(path.expert);
    if (experts.tokens.empty()) continue;
    units_.push_back({&path, experts, row});
    row += experts.tokens.size();
  }
  return units_.size();
}

void FeedForwardBlock::gate_up(const Unit& unit, std::uint32_t first, std::uint32_t last, const ActivationRows& input,
                               int thread) {
  const FeedForwardPath& path = *unit.path;
  const auto n_tokens = static_cast<int>(unit.experts.tokens.size());
  const bool gated = context_.config.gated();
  const bool wide = wanted_by(path.gate).wide && (!gated || wanted_by(path.up).wide);
  // With few tokens the strips are read in the order in which they lie (gate, up, gate, …): one forward stream.
  for_each_tile(first, last, n_tokens <= kMaxColumnTokens ? 1 : kTileStrips, n_tokens, wide && context_.by_blocks(n_tokens),
                [&](const ProductTile& tile) { gate_up_tile(unit, tile, input, thread); });
  const ActivationKinds wanted = wanted_by(path.down);
  const std::size_t begin = first * kStripRows;
  const std::size_t end = std::min<std::size_t>(last * kStripRows, path.gate.rows);
  for (std::size_t i = 0; i < unit.experts.tokens.size(); ++i)
    hidden_.quantize(context_.kernels, unit.first_row + i, begin, end - begin, wanted);
}

void FeedForwardBlock::gate_up_tile(const Unit& unit, const ProductTile& tile, const ActivationRows& input, int thread) {
  const FeedForwardPath& path = *unit.path;
  const bool gated = context_.config.gated();
  const Activations rows = input.view(0, unit.experts.tokens.data() + tile.first_token);
  const int n_tokens = tile.n_tokens();
  const std::size_t first_row = unit.first_row + static_cast<std::size_t>(tile.first_token), columns = tile.columns();
  const std::size_t up_stride = std::max(columns, kTileColumns);
  float* const up = up_[static_cast<std::size_t>(thread)].data();
  multiply(context_.kernels, path.gate, tile.first, tile.end, rows, n_tokens, hidden_.row(first_row), hidden_.stride());
  if (gated) multiply_tile(context_.kernels, path.up, tile.first, tile.end, rows, n_tokens, up, up_stride);
  const std::size_t first_neuron = tile.first * kStripRows;
  const std::size_t n_neurons = std::min<std::size_t>(tile.end * kStripRows, path.gate.rows) - first_neuron;
  for (std::size_t i = 0; i < static_cast<std::size_t>(n_tokens); ++i) {
    float* const gate = hidden_.row(first_row + i) + first_neuron;
    const float weight = unit.experts.weights[static_cast<std::size_t>(tile.first_token) + i];
    if (weighs_input() && weight != 1.0f) {
      context_.kernels.scale(gate, weight, columns);
      if (gated) context_.kernels.scale(up + i * up_stride, weight, columns);
    }
    if (path.gate_bias != nullptr) context_.kernels.add(gate, path.gate_bias + first_neuron, n_neurons);
    if (path.up_bias != nullptr) context_.kernels.add(up + i * up_stride, path.up_bias + first_neuron, n_neurons);
    context_.activate(gate, up + i * up_stride, columns);
  }
}

void FeedForwardBlock::run_columns(const ActivationRows& input, int n_tokens, float* contribution) {
  cost_.assign(1, 0);
  for (const Unit& unit : units_) cost_.push_back(cost_.back() + unit.path->gate.n_strips());
  const auto do_paths = [&](int thread) {
    const Range share = part_of(cost_.back(), thread, context_.team.size());
    for (std::size_t u = 0; u < units_.size(); ++u) {
      // A path belongs to the core in whose share its middle falls.
      const std::size_t middle = (cost_[u] + cost_[u + 1]) / 2;
      if (middle < share.begin || middle >= share.end) continue;
      const Unit& unit = units_[u];
      gate_up(unit, 0, unit.path->gate.n_strips(), input, thread);
      multiply(context_.kernels, unit.path->down, 0, unit.path->down.n_strips(), hidden_.view(unit.first_row),
               static_cast<int>(unit.experts.tokens.size()), slots_.data() + unit.first_row * padded_dim_,
               padded_dim_);
      if (unit.path->down_bias != nullptr)
        for (std::size_t i = 0; i < unit.experts.tokens.size(); ++i)
          context_.kernels.add(slots_.data() + (unit.first_row + i) * padded_dim_, unit.path->down_bias, context_.dim());
    }
  };
  const auto sum_slots = [&](int thread, int n_threads) {
    const Range range = part_of(context_.dim(), thread, n_threads, kStripRows);
    const std::size_t count = range.end - range.begin;
    if (count == 0) return;
    for (int t = 0; t < n_tokens; ++t)
      std::memset(contribution + static_cast<std::size_t>(t) * context_.dim() + range.begin, 0, count * sizeof(float));
    for (const Unit& unit : units_) {
      for (std::size_t i = 0; i < unit.experts.tokens.size(); ++i) {
        float* const sum =
            contribution + static_cast<std::size_t>(unit.experts.tokens[i]) * context_.dim() + range.begin;
        context_.kernels.add_scaled(sum, slots_.data() + (unit.first_row + i) * padded_dim_ + range.begin,
                                    output_weight(unit, i), count);
      }
    }
  };
  context_.team.run([&](int thread) {
    do_paths(thread);
    context_.team.barrier();
    sum_slots(thread, context_.team.size());
  });
}

void FeedForwardBlock::run_rows(const ActivationRows& input, int n_tokens, float* contribution) {
  const bool wide = std::all_of(units_.begin(), units_.end(), [](const Unit& unit) { return unit.added_whole() && wanted_by(unit.path->down).wide; });
  cost_.assign(1, 0);
  for (const Unit& unit : units_) {
    const auto granules = static_cast<std::uint32_t>(div_up(unit.path->gate.n_strips(), granule_strips(*unit.path)));
    cost_.push_back(cost_.back() + granules * static_cast<std::uint32_t>(unit.experts.tokens.size()));
  }
  context_.team.run([&](int thread) {
    const Range share = part_of(cost_.back(), thread, context_.team.size());
    for (std::size_t u = 0; u < units_.size(); ++u) {
      const Unit& unit = units_[u];
      // A granule belongs to the core in whose share its first cost falls.
      const std::size_t each = unit.experts.tokens.size(), granule = granule_strips(*unit.path);
      const auto granule_at = [&](std::size_t cost) {
        if (cost <= cost_[u]) return std::size_t{0};
        return static_cast<std::size_t>(div_up(std::min<std::size_t>(cost, cost_[u + 1]) - cost_[u], each));
      };
      const auto first = static_cast<std::uint32_t>(granule_at(share.begin) * granule);
      const auto last = std::min(static_cast<std::uint32_t>(granule_at(share.end) * granule),
                                 unit.path->gate.n_strips());
      if (first < last) gate_up(unit, first, last, input, thread);
    }
    context_.team.barrier();
    const Range strips = part_of(padded_dim_ / kStripRows, thread, context_.team.size());
    for_each_tile(static_cast<std::uint32_t>(strips.begin), static_cast<std::uint32_t>(strips.end), sum_tile_strips(n_tokens), n_tokens, wide && context_.by_blocks(n_tokens),
                  [&](const ProductTile& tile) { down_tile(tile, thread, contribution); });
  });
}

void FeedForwardBlock::down_tile(const ProductTile& tile, int thread, float* contribution) {
  const std::uint32_t first = tile.first, last = tile.end;
  const int n_tokens = tile.n_tokens();
  float* const sum = sum_[static_cast<std::size_t>(thread)].data();
  float* const part = part_[static_cast<std::size_t>(thread)].data();
  const std::size_t width = tile.columns();
  const std::size_t begin = first * kStripRows;
  const std::size_t count = std::min<std::size_t>(width, context_.dim() - begin);
  bool begun = false;
  const auto begin_sum = [&] {
    if (!begun) std::memset(sum, 0, static_cast<std::size_t>(n_tokens) * width * sizeof(float));
    begun = true;
  };
  for (const Unit& unit : units_) {
    if (unit.added_whole()) {
      const Activations hidden = hidden_.view(unit.first_row + static_cast<std::size_t>(tile.first_token));
      if (begun) add_tile(context_.kernels, unit.path->down, first, last, hidden, n_tokens, sum, part);
      else multiply_tile(context_.kernels, unit.path->down, first, last, hidden, n_tokens, sum, width);
      begun = true;
      continue;
    }
    begin_sum();
    multiply_tile(context_.kernels, unit.path->down, first, last, hidden_.view(unit.first_row),
                  static_cast<int>(unit.experts.tokens.size()), part, width);
    if (unit.path->down_bias != nullptr)
      for (std::size_t i = 0; i < unit.experts.tokens.size(); ++i)
        context_.kernels.add(part + i * width, unit.path->down_bias + begin, count);
    for (std::size_t i = 0; i < unit.experts.tokens.size(); ++i)
      context_.kernels.add_scaled(sum + static_cast<std::size_t>(unit.experts.tokens[i]) * width,
                                  part + i * width, output_weight(unit, i), width);
  }
  begin_sum();
  for (int t = 0; t < n_tokens; ++t)
    std::memcpy(contribution + static_cast<std::size_t>(tile.first_token + t) * context_.dim() + begin,
                sum + static_cast<std::size_t>(t) * width, count * sizeof(float));
}

void FeedForwardBlock::run_turned(const ActivationRows& input, int n_tokens, const BlockSums& sums) {
  const std::size_t n_blocks = n_token_blocks(n_tokens);
  std::size_t n_all_groups = 0;
  for (Unit& unit : units_) {
    unit.first_group = n_all_groups;
    n_all_groups += n_groups(*unit.path);
  }
  context_.team.run([&](int thread) {
    // A group's strips stay in L2 while the blocks pass by.
    const Range share = part_of(n_all_groups * n_blocks, thread, context_.team.size());
    for (const Unit& unit : units_) {
      const std::size_t first = unit.first_group * n_blocks, last = first + n_groups(*unit.path) * n_blocks;
      for (std::size_t i = std::max(first, share.begin); i < std::min(last, share.end); ++i)
        gate_up_turned(unit, (i - first) / n_blocks, input, (i - first) % n_blocks, n_blocks, thread);
    }
    context_.team.barrier();
    const Range strips = part_of(padded_dim_ / kStripRows, thread, context_.team.size());
    for_each_tile(static_cast<std::uint32_t>(strips.begin), static_cast<std::uint32_t>(strips.end), kTileStrips, n_tokens, true,
                  [&](const ProductTile& tile) { down_turned(tile, n_blocks, thread, sums); });
  });
}

void FeedForwardBlock::gate_up_turned(const Unit& unit, std::size_t group, const ActivationRows& input, std::size_t block, std::size_t n_blocks,
                                      int thread) {
  const FeedForwardPath& path = *unit.path;
  const KernelTable& kernels = context_.kernels;
  const std::size_t first_neuron = group * kWideGroup, n_neurons = std::min<std::size_t>(kWideGroup, path.gate.rows - first_neuron);
  const auto first = static_cast<std::uint32_t>(first_neuron / kStripRows);
  const auto last = static_cast<std::uint32_t>(div_up(first_neuron + n_neurons, kStripRows));
  float* const gate = part_[static_cast<std::size_t>(thread)].data();
  float* const up = up_[static_cast<std::size_t>(thread)].data();
  const StripRange gate_strips{&path.gate, first, last}, up_strips{&path.up, first, last};
  const TurnedGroup* const next = block + 1 < n_blocks ? input.turned(block + 1) : nullptr;
  const bool gated = context_.config.gated();
  const auto tokens = static_cast<int>(std::min<std::size_t>(kTurnedTokens, unit.experts.tokens.size() - block * kTurnedTokens));
  multiply_turned(kernels, {&gate_strips, 1}, input.turned(block), gated ? input.turned(block) : next, tokens, gate);
  if (gated) multiply_turned(kernels, {&up_strips, 1}, input.turned(block), next, tokens, up);
  // Some neurons at a time, which stay in L1: 8 KiB of each.
  constexpr std::size_t kNeurons = 32;
  for (std::size_t n = 0; n < n_neurons; n += kNeurons) {
    const std::size_t count = std::min(kNeurons, n_neurons - n);
    float* const gates = gate + n * kTurnedTokens;
    float* const ups = up + n * kTurnedTokens;
    if (path.gate_bias != nullptr) kernels.add_to_turned(gates, path.gate_bias + first_neuron + n, count);
    if (path.up_bias != nullptr) kernels.add_to_turned(ups, path.up_bias + first_neuron + n, count);
    // Of a block that is not full only its tokens: kernels take 16 of them at once.
    if (tokens == kTurnedTokens) context_.activate(gates, ups, count * kTurnedTokens);
    for (std::size_t i = 0; tokens < kTurnedTokens && i < count; ++i)
      context_.activate(gates + i * kTurnedTokens, ups + i * kTurnedTokens, static_cast<std::size_t>(tokens));
  }
  kernels.quantize_turned(gate, n_neurons, has_quads(path.down.format), turned(unit, block, n_blocks)[group]);
}

void FeedForwardBlock::down_turned(const ProductTile& tile, std::size_t n_blocks, int thread, const BlockSums& sums) {
  const KernelTable& kernels = context_.kernels;
  float* const sum = sum_[static_cast<std::size_t>(thread)].data();
  float* const part = part_[static_cast<std::size_t>(thread)].data();
  const std::size_t begin = tile.first * kStripRows, block = static_cast<std::size_t>(tile.first_token) / kTurnedTokens;
  if (units_.empty()) std::memset(sum, 0, tile.columns() * kTurnedTokens * sizeof(float));
  for (std::size_t u = 0; u < units_.size(); ++u) {
    const Unit& unit = units_[u];
    const StripRange strips{&unit.path->down, tile.first, tile.end};
    const TurnedGroup* const hidden = turned(unit, block, n_blocks);
    const TurnedGroup* const next = u + 1 < units_.size() ? turned(units_[u + 1], block, n_blocks)
                                    : block + 1 < n_blocks ? turned(units_[0], block + 1, n_blocks) : nullptr;
    if (u != 0 && unit.added_whole()) {
      add_turned(kernels, strips, hidden, next, tile.n_tokens(), sum, part);
      continue;
    }
    float* const to = u == 0 ? sum : part;
    multiply_turned(kernels, {&strips, 1}, hidden, next, tile.n_tokens(), to);
    if (unit.path->down_bias != nullptr)
      kernels.add_to_turned(to, unit.path->down_bias + begin, std::min<std::size_t>(tile.columns(), context_.dim() - begin));
    if (u != 0) kernels.add(sum, part, tile.columns() * kTurnedTokens);
  }
  turn_back_tile(kernels, tile, sum, part, context_.dim(), sums);
}

}  // namespace colonnade::engine
