#include "shard/plan_share.h"

#include <array>
#include <cstddef>
#include <optional>

namespace colonnade::shard {
namespace {

/// What boundary r still owes, per class: bytes that ranks before it should have got more.
using Debts = std::array<std::vector<double>, kBlockClasses>;

Cuts cut_block(const Block& block, std::span<const double> prefix_shares, Debts& debts) {
  const std::size_t n_ranks = prefix_shares.size() - 1;
  const auto n_units = static_cast<std::uint32_t>(block.unit_bytes.size());
  double total = 0;
  for (const double bytes : block.unit_bytes) total += bytes;

  Cuts cuts(n_ranks + 1, 0);
  cuts[n_ranks] = n_units;
  std::uint32_t cut = 0;
  double given = 0;
  for (std::size_t r = 1; r < n_ranks; ++r) {
    double& own_debt = debts[static_cast<std::size_t>(block.block_class)][r];
    double target = total * prefix_shares[r] + own_debt;
    if (block.settles) {
      target = total * prefix_shares[r];
      for (auto& debt : debts) {
        target += debt[r];
        debt[r] = 0;
      }
    }
    while (cut < n_units && given + block.unit_bytes[cut] / 2 <= target) given += block.unit_bytes[cut++];
    cuts[r] = cut;
    own_debt = target - given;
  }
  return cuts;
}

class Units {
 public:
  Units(std::vector<Cuts>& cuts, std::size_t n_ranks) : cuts_(cuts), count_(n_ranks, 0) {
    for (const Cuts& c : cuts_) {
      for (std::size_t r = 0; r < n_ranks; ++r) count_[r] += c[r + 1] - c[r];
    }
  }

  std::optional<std::size_t> first_empty() const {
    for (std::size_t r = 0; r < count_.size(); ++r) {
      if (count_[r] == 0) return r;
    }
    return std::nullopt;
  }

  /// The rank with most units, if it can spare one.
  std::optional<std::size_t> richest() const {
    std::size_t best = 0;
    for (std::size_t r = 1; r < count_.size(); ++r) {
      if (count_[r] > count_[best]) best = r;
    }
    if (count_[best] < 2) return std::nullopt;
    return best;
  }

  /// Moves the boundaries between two ranks by one unit in the block of which `from` has most units: those between
  /// them keep their number.
  void give(std::size_t from, std::size_t to) {
    Cuts* donor = nullptr;
    for (Cuts& c : cuts_) {
      if (donor == nullptr || c[from + 1] - c[from] > (*donor)[from + 1] - (*donor)[from]) donor = &c;
    }
    for (std::size_t r = to; r < from; ++r) ++(*donor)[r + 1];
    for (std::size_t r = from; r < to; ++r) --(*donor)[r + 1];
    --count_[from];
    ++count_[to];
  }

 private:
  std::vector<Cuts>& cuts_;
  std::vector<std::uint32_t> count_;  // units of each rank
};

}  // namespace

std::vector<Cuts> share_blocks(std::span<const Block> blocks, std::span<const double> shares) {
  std::vector<double> prefix_shares{0.0};
  for (const double share : shares) prefix_shares.push_back(prefix_shares.back() + share);
  Debts debts;
  for (auto& debt : debts) debt.assign(prefix_shares.size(), 0.0);

  std::vector<Cuts> cuts;
  cuts.reserve(blocks.size());
  for (const Block& block : blocks) cuts.push_back(cut_block(block, prefix_shares, debts));

  Units units(cuts, shares.size());
  while (const auto empty = units.first_empty()) {
    const auto giver = units.richest();
    if (!giver) break;
    units.give(*giver, *empty);
  }
  return cuts;
}

}  // namespace colonnade::shard
