#include "engine/text/bpe_merge.h"

#include <algorithm>
#include <cstddef>
#include <queue>
#include <tuple>

namespace colonnade::engine {
namespace {

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

constexpr std::int32_t kNone = -1;  // as a symbol: merged into its left neighbour; as a link: the end

struct Proposal {
  std::int32_t rank;
  std::uint32_t at;  // index of the left symbol
  std::int32_t left, right, merged;
  bool operator>(const Proposal& other) const { return std::tie(rank, at) > std::tie(other.rank, other.at); }
};

}  // namespace

void MergeTable::add(std::int32_t left, std::int32_t right, std::int32_t rank, std::int32_t merged) {
  merges_.try_emplace(pair_key(left, right), Merge{rank, merged});
}

const MergeTable::Merge* MergeTable::find(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void MergeTable::apply(std::vector<std::int32_t>& symbols) const {
  const std::size_t n = symbols.size();
  if (n < 2) return;
  // Links between symbols that are still there; indices stay put, so a proposal can tell that it is out of date.
  std::vector<std::uint32_t> next(n), previous(n);
  const auto end = static_cast<std::uint32_t>(n);
  for (std::uint32_t i = 0; i < end; ++i) {
    next[i] = i + 1;
    previous[i] = i == 0 ? end : i - 1;
  }
  std::vector<Proposal> storage;
  storage.reserve(n);
  std::priority_queue<Proposal, std::vector<Proposal>, std::greater<>> proposals(std::greater<>{}, std::move(storage));
  const auto propose = [&](std::uint32_t at) {
    if (at == end || next[at] == end) return;
    const std::int32_t left = symbols[at];
    const std::int32_t right = symbols[next[at]];
    if (const Merge* merge = find(left, right)) proposals.push({merge->rank, at, left, right, merge->merged});
  };
  for (std::uint32_t i = 0; i + 1 < end; ++i) propose(i);

  while (!proposals.empty()) {
    const Proposal best = proposals.top();
    proposals.pop();
    const std::uint32_t right = symbols[best.at] == kNone ? end : next[best.at];
    if (right == end || symbols[best.at] != best.left || symbols[right] != best.right) continue;
    symbols[best.at] = best.merged;
    symbols[right] = kNone;
    next[best.at] = next[right];
    if (next[right] != end) previous[next[right]] = best.at;
    propose(previous[best.at]);
    propose(best.at);
  }
  symbols.erase(std::remove(symbols.begin(), symbols.end(), kNone), symbols.end());
}

}  // namespace colonnade::engine
