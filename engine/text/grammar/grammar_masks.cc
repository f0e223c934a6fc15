// Masks: the tokens that a set of places allows.
#include <algorithm>
#include <bit>

#include "engine/text/grammar/grammar_table.h"

namespace colonnade::engine {
namespace {

void set_bit(std::span<std::uint32_t> bits, std::int32_t token) {
  bits[static_cast<std::size_t>(token) / 32] |= 1u << (static_cast<std::uint32_t>(token) % 32);
}

std::size_t count_bits(std::span<const std::uint32_t> bits) {
  std::size_t count = 0;
  for (const std::uint32_t word : bits) count += static_cast<std::size_t>(std::popcount(word));
  return count;
}

}  // namespace

void TokenSet::add_to(std::span<std::uint32_t> out) const {
  for (const std::int32_t token : list) set_bit(out, token);
  for (std::size_t i = 0; i < bits.size(); ++i) out[i] |= bits[i];
}

void TokenSet::take(std::span<const std::uint32_t> bits_in) {
  known = true;
  count = count_bits(bits_in);
  if (count > bits_in.size() / 2) {
    bits.assign(bits_in.begin(), bits_in.end());
    return;
  }
  list.reserve(count);
  for (std::size_t i = 0; i < bits_in.size(); ++i)
    for (std::uint32_t word = bits_in[i]; word != 0; word &= word - 1)
      list.push_back(static_cast<std::int32_t>(i * 32) + std::countr_zero(word));
}

/// Walks the trie's nodes [begin, end) from a set; visit(node, set) for each node whose bytes lead somewhere. Only where
/// there are tokens of at least `shortest` bytes.
template <typename Visit>
void GrammarTable::walk(SetId from, std::uint32_t begin, std::uint32_t end, std::size_t shortest, Visit visit) {
  const auto nodes = vocabulary_.nodes();
  levels_.assign(1, {end, from});
  for (std::uint32_t i = begin; i < end;) {
    while (levels_.back().end <= i) levels_.pop_back();
    const TokenTrie::Node& node = nodes[i];
    if (shortest > 1 && vocabulary_.deepest(i) < shortest) {
      i = node.end;
      continue;
    }
    const SetId set = step(levels_.back().set, node.byte);
    if (exhausted_) return;
    if (set == kDeadSet) {
      i = node.end;
      continue;
    }
    visit(i, set);
    if (sets_[set].n_items == 0) {
      i = node.end;
      continue;
    }
    if (node.end > i + 1) levels_.push_back({node.end, set});
    ++i;
  }
}

void GrammarTable::allow_below(SetId from, std::uint32_t begin, std::uint32_t end, std::span<std::uint32_t> out) {
  if (sets_[from].n_items == 0) return;
  walk(from, begin, end, 1, [&](std::uint32_t node, SetId) {
    for (const std::int32_t token : vocabulary_.tokens(node)) set_bit(out, token);
  });
}

/// Where all items have cousins (or are their own), what these allow with few bytes is taken over to scratch_bits_ and
/// `mask`. Returns how many bytes that is: 0 where there are no cousins worth it.
std::size_t GrammarTable::take_from_cousins(const std::vector<Item>& items, LocalMask& mask) {
  constexpr std::uint16_t kLeastAlike = 3;  // most tokens are longer
  std::vector<Item> cousins;
  std::size_t alike = SIZE_MAX;
  for (const Item& item : items) {
    const ByteAutomaton::Place& place = automaton_.places[item.place];
    const bool has_cousin = place.cousin != item.place && place.alike >= kLeastAlike;
    cousins.push_back({has_cousin ? place.cousin : item.place, kOutsideStack});
    if (has_cousin) alike = std::min<std::size_t>(alike, place.alike);
  }
  if (alike == SIZE_MAX) return 0;
  const LocalMask& theirs = local_mask(cousins);
  scratch_bits_.assign(vocabulary_.mask_words(), 0);
  if (exhausted_) return 0;
  theirs.tokens.add_to(scratch_bits_);
  for (const std::int32_t token : vocabulary_.by_length()) {
    if (vocabulary_.bytes(token).size() <= alike) break;
    scratch_bits_[static_cast<std::size_t>(token) / 32] &= ~(1u << (static_cast<std::uint32_t>(token) % 32));
  }
  for (const std::uint32_t node : theirs.beyond)
    if (vocabulary_.depth(node) < alike) mask.beyond.push_back(node);
  mask.asked = theirs.asked;
  return alike;
}

const GrammarTable::LocalMask& GrammarTable::local_mask(std::span<const Item> group) {
  std::vector<Item> items;
  items.reserve(group.size());
  for (const Item& item : group) items.push_back({automaton_.places[item.place].twin, kOutsideStack});
  const SetId start = intern_set(items, false, false);
  LocalMask& mask = local_masks_[start];
  if (mask.known) return mask;
  const auto nodes = vocabulary_.nodes();
  LocalMask fresh;
  scratch_bits_.assign(vocabulary_.mask_words(), 0);
  const std::size_t alike = take_from_cousins(items, fresh);
  if (exhausted_) return mask;
  std::vector<SetId> visited = {start};
  walk(start, 0, static_cast<std::uint32_t>(nodes.size()), alike + 1, [&](std::uint32_t node, SetId set) {
    const std::size_t depth = vocabulary_.depth(node);
    if (depth > alike)
      for (const std::int32_t token : vocabulary_.tokens(node)) set_bit(scratch_bits_, token);
    if (sets_[set].outside && depth >= alike && nodes[node].end > node + 1) fresh.beyond.push_back(node);
    if (visited.back() != set) visited.push_back(set);
  });
  if (exhausted_) return mask;
  // A set's own `asked` is right only after the walk has been through it.
  for (const SetId set : visited) fresh.asked = std::max(fresh.asked, sets_[set].asked);
  for (const std::uint32_t node : fresh.beyond) fresh.below += nodes[node].end - node - 1;
  fresh.tokens.take(scratch_bits_);
  fresh.known = true;
  mask_bytes_ += fresh.tokens.memory_bytes() + fresh.beyond.capacity() * sizeof(std::uint32_t);
  mask = std::move(fresh);
  return mask;
}

void GrammarTable::compute_mask(SetId id, std::span<std::uint32_t> out) {
  const auto n_nodes = static_cast<std::uint32_t>(vocabulary_.nodes().size());
  std::vector<Item> items(items_.begin() + static_cast<std::ptrdiff_t>(sets_[id].first),
                          items_.begin() + static_cast<std::ptrdiff_t>(sets_[id].first + sets_[id].n_items));
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.stack != b.stack ? a.stack < b.stack : a.place < b.place; });
  const std::uint32_t depth = sets_[id].depth;
  for (std::size_t begin = 0; begin < items.size() && !exhausted_;) {
    std::size_t end = begin;
    while (end < items.size() && items[end].stack == items[begin].stack) ++end;
    const LocalMask& local = local_mask(std::span(items).subspan(begin, end - begin));
    if (exhausted_) return;
    if (depth + local.asked > static_cast<std::uint32_t>(limits_.max_depth) || local.below > n_nodes) {
      // So deep that not all that the place allows is within the limit; or so much lies beyond that one walk is shorter.
      std::fill(out.begin(), out.end(), 0u);
      return allow_below(id, 0, n_nodes, out);
    }
    local.tokens.add_to(out);
    if (!local.beyond.empty()) {
      const SetId follow = after(items[begin].stack);
      for (const std::uint32_t node : local.beyond) {
        if (exhausted_) return;
        allow_below(follow, node + 1, vocabulary_.nodes()[node].end, out);
      }
    }
    begin = end;
  }
}

std::size_t GrammarTable::mask(SetId id, std::span<std::uint32_t> out) {
  std::fill(out.begin(), out.end(), 0u);
  if (sets_[id].n_items == 0) return 0;
  TokenSet& kept = masks_[id];
  if (!kept.known) {
    compute_mask(id, out);
    if (exhausted_) {
      std::fill(out.begin(), out.end(), 0u);
      return 0;
    }
    kept.take(out);
    mask_bytes_ += kept.memory_bytes();
    return kept.count;
  }
  kept.add_to(out);
  return kept.count;
}

void GrammarTable::prepare(SetId id) {
  scratch_mask_.assign(vocabulary_.mask_words(), 0);
  mask(id, scratch_mask_);
}

}  // namespace colonnade::engine
