#include "engine/text/tokenizer/merge_table.h"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>

namespace colonnade::engine {
namespace {

// Up to here looking through all pairs for each merge beats the heap.
constexpr std::size_t kFewSymbols = 48;
constexpr std::int32_t kGone = -1;  // merged into its left neighbour

}  // namespace

std::size_t MergeTable::place(std::uint64_t pair) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash_number(pair) & mask;
  while (slots_[i].pair != pair && slots_[i].pair != kFree) i = (i + 1) & mask;
  return i;
}

void MergeTable::rehash(std::size_t n_slots) {
  std::vector<Slot> before(n_slots);
  before.swap(slots_);
  for (const Slot& slot : before) {
    if (slot.pair != kFree) slots_[place(slot.pair)] = slot;
  }
}

void MergeTable::reserve(std::size_t merges) {
  std::size_t n_slots = 16;
  while (n_slots < 2 * merges) n_slots *= 2;
  if (n_slots > slots_.size()) rehash(n_slots);
}

void MergeTable::add(std::int32_t left, std::int32_t right, std::int32_t rank, std::int32_t merged, Repeated repeated) {
  reserve(n_merges_ + 1);
  Slot& slot = slots_[place(key(left, right))];
  if (slot.pair == kFree) ++n_merges_;
  else if (repeated == Repeated::kKeepsFirst) return;
  slot = {key(left, right), {rank, merged}};
}

MergeTable::Merge MergeTable::find(std::int32_t left, std::int32_t right) const {
  const Slot& slot = slots_[place(key(left, right))];
  return slot.pair == kFree ? kNoMerge : slot.merge;
}

void MergeTable::apply(std::vector<std::int32_t>& symbols) const {
  if (symbols.size() < 2 || n_merges_ == 0) return;
  if (symbols.size() <= kFewSymbols) apply_to_few(symbols);
  else apply_to_many(symbols);
}

void MergeTable::apply_to_few(std::vector<std::int32_t>& symbols) const {
  std::array<Merge, kFewSymbols> merges;  // of each symbol with the next one
  std::size_t n = symbols.size();
  for (std::size_t i = 0; i + 1 < n; ++i) merges[i] = find(symbols[i], symbols[i + 1]);
  while (n > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < n; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].merged < 0) break;
    symbols[best] = merges[best].merged;
    for (std::size_t i = best + 1; i + 1 < n; ++i) {
      symbols[i] = symbols[i + 1];
      merges[i] = merges[i + 1];
    }
    --n;
    merges[best] = best + 1 < n ? find(symbols[best], symbols[best + 1]) : kNoMerge;
    if (best > 0) merges[best - 1] = find(symbols[best - 1], symbols[best]);
  }
  symbols.resize(n);
}

void MergeTable::apply_to_many(std::vector<std::int32_t>& symbols) const {
  const auto end = static_cast<std::uint32_t>(symbols.size());
  // Links between symbols that are still there; indices stay put, so a proposal can tell that it is out of date.
  std::vector<std::uint32_t> next(end), previous(end);
  for (std::uint32_t i = 0; i < end; ++i) {
    next[i] = i + 1;
    previous[i] = i == 0 ? end : i - 1;
  }
  using Proposal = std::pair<std::int32_t, std::uint32_t>;  // rank, index of the left symbol
  std::vector<Proposal> first;
  for (std::uint32_t i = 0; i + 1 < end; ++i) {
    const Merge merge = find(symbols[i], symbols[i + 1]);
    if (merge.merged >= 0) first.emplace_back(merge.rank, i);
  }
  std::priority_queue<Proposal, std::vector<Proposal>, std::greater<>> proposals(std::greater<>{}, std::move(first));
  const auto propose = [&](std::uint32_t at) {
    if (at == end || next[at] == end) return;
    const Merge merge = find(symbols[at], symbols[next[at]]);
    if (merge.merged >= 0) proposals.emplace(merge.rank, at);
  };
  while (!proposals.empty()) {
    const auto [rank, at] = proposals.top();
    proposals.pop();
    if (symbols[at] == kGone || next[at] == end) continue;
    const std::uint32_t right = next[at];
    const Merge merge = find(symbols[at], symbols[right]);
    if (merge.merged < 0 || merge.rank != rank) continue;  // its symbols have changed since
    symbols[at] = merge.merged;
    symbols[right] = kGone;
    next[at] = next[right];
    if (next[right] != end) previous[next[right]] = at;
    propose(previous[at]);
    propose(at);
  }
  symbols.erase(std::remove(symbols.begin(), symbols.end(), kGone), symbols.end());
}

}  // namespace colonnade::engine
