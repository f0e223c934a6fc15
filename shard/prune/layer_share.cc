#include "shard/prune/layer_share.h"

#include <algorithm>

#include "shard/prune/factor.h"
#include "shard/prune/row_group.h"

namespace colonnade::shard {
namespace {

/// Rows of something, in granules that are not divided.
struct Item {
  std::size_t rows;
  std::size_t granule;
  double first_cost, last_cost;  // of a row; those between lie on a line
};

/// Hands runs of granules to ranks so that their costs are nearly equal: [rank][item].
std::vector<std::vector<RowRange>> hand_out(const std::vector<Item>& items, int n_ranks) {
  double total = 0;
  for (const Item& item : items) total += static_cast<double>(item.rows) * (item.first_cost + item.last_cost) / 2;
  std::vector<std::vector<RowRange>> shares(static_cast<std::size_t>(n_ranks), std::vector<RowRange>(items.size()));
  double before = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    for (std::size_t first = 0; first < item.rows; first += item.granule) {
      const std::size_t last = std::min(first + item.granule, item.rows);
      const double middle = static_cast<double>(first + last) / 2 / static_cast<double>(item.rows);
      const double cost = static_cast<double>(last - first) * (item.first_cost + middle * (item.last_cost - item.first_cost));
      const double place = total > 0 ? (before + cost / 2) / total * n_ranks : 0;
      const int rank = std::clamp(static_cast<int>(place), 0, n_ranks - 1);
      RowRange& share = shares[static_cast<std::size_t>(rank)][i];
      if (share.empty()) share.first = first;
      share.last = last;
      before += cost;
    }
  }
  return shares;
}

std::vector<int> ranks_where(int n_ranks, const auto& holds) {
  std::vector<int> ranks;
  for (int rank = 0; rank < n_ranks; ++rank)
    if (holds(static_cast<std::size_t>(rank))) ranks.push_back(rank);
  return ranks;
}

}  // namespace

std::vector<int> LayerShares::owners_of(std::size_t input) const {
  return ranks_where(static_cast<int>(sums.size()), [&](std::size_t rank) { return !sums[rank][input].empty(); });
}

std::vector<int> LayerShares::users_of(const LayerInput& input) const {
  return ranks_where(static_cast<int>(rows.size()), [&](std::size_t rank) {
    return std::any_of(input.matrices.begin(), input.matrices.end(), [&](std::size_t m) { return !rows[rank][m].empty(); });
  });
}

LayerShares share_layer(const LayerMatrices& matrices, bool with_gram, int n_ranks) {
  std::vector<Item> sums;
  for (const LayerInput& input : matrices.inputs) {
    // Of a sum of outer products only the upper triangle is computed.
    const auto cols = static_cast<double>(input.cols);
    with_gram ? sums.push_back({input.cols, kGramTileRows, cols, 0}) : sums.push_back({input.cols, input.cols, 1, 1});
  }
  // In the order in which a layer is pruned: by input.
  std::vector<Item> rows;
  std::vector<std::size_t> order;
  for (const LayerInput& input : matrices.inputs)
    for (const std::size_t m : input.matrices) {
      const auto cols = static_cast<double>(input.cols);
      const double cost = with_gram ? cols * cols : cols;
      rows.push_back({matrices.matrices[m].rows, kRowGroup, cost, cost});
      order.push_back(m);
    }
  LayerShares shares;
  shares.sums = hand_out(sums, n_ranks);
  const auto by_order = hand_out(rows, n_ranks);
  shares.rows.assign(static_cast<std::size_t>(n_ranks), std::vector<RowRange>(matrices.matrices.size()));
  for (std::size_t rank = 0; rank < shares.rows.size(); ++rank)
    for (std::size_t i = 0; i < order.size(); ++i) shares.rows[rank][order[i]] = by_order[rank][i];
  return shares;
}

}  // namespace colonnade::shard
