#include "engine/formats/lane_shares.h"

#include <algorithm>

namespace colonnade::engine {

LaneShares share_lanes(const std::array<std::size_t, kStripRows>& counts, std::size_t quota) {
  LaneShares shares;
  shares.donor.fill(kNoDonor);
  std::array<std::size_t, kStripRows> order;
  for (std::size_t r = 0; r < kStripRows; ++r) {
    const std::size_t own = std::min(quota, counts[r]);
    shares.own[r] = {r, 0, own};
    shares.shared[r] = {r, own, counts[r]};
    order[r] = r;
  }
  const auto rest = [&](std::size_t r) { return shares.shared[r].size(); };
  std::array<std::size_t, kStripRows> left;
  for (std::size_t r = 0; r < kStripRows; ++r) left[r] = rest(r);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return left[a] < left[b]; });
  const auto keep = [&](std::size_t r) {
    if (rest(r) != 0) shares.kept = static_cast<std::uint16_t>(shares.kept | 1u << r);
  };
  for (std::size_t i = 0; i < kStripRows / 2; ++i) {
    const std::size_t light = order[i], heavy = order[kStripRows - 1 - i];
    keep(heavy);
    if (left[light] != 0 || left[heavy] < 2) {
      keep(light);
      continue;
    }
    LaneShares::Part& whole = shares.shared[heavy];
    const std::size_t middle = whole.begin + (left[heavy] + 1) / 2;
    shares.shared[light] = {heavy, middle, whole.end};
    whole.end = middle;
    shares.donor[heavy] = static_cast<std::uint8_t>(light);
  }
  return shares;
}

}  // namespace colonnade::engine
