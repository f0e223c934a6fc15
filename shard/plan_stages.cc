#include "shard/plan_stages.h"

#include <algorithm>
#include <limits>

#include "engine/base/check.h"

namespace colonnade::shard {
namespace {

// The search looks at every (layer, rank) pair of cuts; beyond this many ranks it moves by several ranks at a time.
constexpr int kMaxRankCuts = 64;

template <typename Items, typename Value>
std::vector<double> running_sum(const Items& items, Value value) {
  std::vector<double> sums{0.0};
  for (const auto& item : items) sums.push_back(sums.back() + value(item));
  return sums;
}

/// Adds up over stages so that the slowest dominates, yet the others are evened out too: a smooth maximum.
double eighth_power(double x) {
  const double x2 = x * x, x4 = x2 * x2;
  return x4 * x4;
}

struct Best {
  double cost = std::numeric_limits<double>::infinity();
  int layer = 0;  // where the last stage begins
  int rank = 0;
};

}  // namespace

std::vector<StageCut> cut_stages(std::span<const LayerLoad> layers, std::span<const RankMachine> machines,
                                 std::uint64_t rank_bytes, int n_stages) {
  const int n_layers = static_cast<int>(layers.size()), n_ranks = static_cast<int>(machines.size());
  COLONNADE_CHECK(n_stages >= 1 && n_stages <= n_layers && n_stages <= n_ranks, "impossible number of stages");
  if (n_stages == 1) return {{0, n_layers, 0, n_ranks}};

  const auto work = running_sum(layers, [](const LayerLoad& l) { return l.work; });
  const auto memory = running_sum(layers, [](const LayerLoad& l) { return l.memory_bytes; });
  const auto speed = running_sum(machines, [](const RankMachine& m) { return m.speed; });
  const auto room = running_sum(machines, [&](const RankMachine& m) {
    if (m.memory_bytes == 0) return 1e30;
    return std::max(0.0, static_cast<double>(m.memory_bytes) - static_cast<double>(rank_bytes));
  });
  const double even_time = work.back() / speed.back();
  const auto at = [](const std::vector<double>& sums, int i) { return sums[static_cast<std::size_t>(i)]; };

  const auto stage_cost = [&](int layer0, int layer1, int rank0, int rank1) {
    const double time = (at(work, layer1) - at(work, layer0)) / (at(speed, rank1) - at(speed, rank0));
    const double needed = at(memory, layer1) - at(memory, layer0), has = at(room, rank1) - at(room, rank0);
    const double penalty = needed > has ? 1e60 * (1.0 + (needed - has) / (has + 1.0)) : 0.0;
    return eighth_power(time / even_time) + penalty;
  };

  const int step = std::max(1, std::min((n_ranks + kMaxRankCuts - 1) / kMaxRankCuts, n_ranks / n_stages));
  const int n_cuts = n_ranks / step;  // cut c lies before rank c * step; the last one at the end
  const auto rank_of = [&](int cut) { return cut == n_cuts ? n_ranks : cut * step; };

  // best[s][l][c]: the first s + 1 stages hold layers before l on ranks before cut c.
  const auto index = [&](int layer, int cut) {
    return static_cast<std::size_t>(layer) * static_cast<std::size_t>(n_cuts + 1) + static_cast<std::size_t>(cut);
  };
  std::vector<std::vector<Best>> best(static_cast<std::size_t>(n_stages), std::vector<Best>(index(n_layers, n_cuts) + 1));
  for (int layer = 1; layer <= n_layers; ++layer) {
    for (int cut = 1; cut <= n_cuts; ++cut) best[0][index(layer, cut)] = {stage_cost(0, layer, 0, rank_of(cut)), 0, 0};
  }
  for (int s = 1; s < n_stages; ++s) {
    const auto& before = best[static_cast<std::size_t>(s) - 1];
    auto& now = best[static_cast<std::size_t>(s)];
    for (int layer = s + 1; layer <= n_layers; ++layer) {
      for (int cut = s + 1; cut <= n_cuts; ++cut) {
        Best& b = now[index(layer, cut)];
        for (int l = s; l < layer; ++l) {
          for (int c = s; c < cut; ++c) {
            const double so_far = before[index(l, c)].cost;
            if (so_far >= b.cost) continue;
            const double cost = so_far + stage_cost(l, layer, rank_of(c), rank_of(cut));
            if (cost < b.cost) b = {cost, l, c};
          }
        }
      }
    }
  }

  std::vector<StageCut> cuts(static_cast<std::size_t>(n_stages));
  int layer = n_layers, cut = n_cuts;
  for (int s = n_stages - 1; s >= 0; --s) {
    const Best& b = best[static_cast<std::size_t>(s)][index(layer, cut)];
    cuts[static_cast<std::size_t>(s)] = {b.layer, layer - b.layer, rank_of(b.rank), rank_of(cut) - rank_of(b.rank)};
    layer = b.layer;
    cut = b.rank;
  }
  return cuts;
}

}  // namespace colonnade::shard
