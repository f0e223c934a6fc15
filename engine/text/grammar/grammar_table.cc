#include "engine/text/grammar/grammar_table.h"

#include <algorithm>
#include <functional>

namespace colonnade::engine {
namespace {

// For one mask or token; what is beyond the table's limit is given back soon.
constexpr std::size_t kExtraBytes = std::size_t{32} << 20;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15ull;
  return hash ^ (hash >> 29);
}

template <typename T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

GrammarTable::GrammarTable(const ByteAutomaton& automaton, const TokenTrie& vocabulary, const TableLimits& limits)
    : automaton_(automaton), vocabulary_(vocabulary), limits_(limits), gathered_(automaton.rules.size()) {
  std::vector<Return> returns = {{kOutside, 0}};
  intern_stack(returns);
  returns = {{kEndOfText, 0}};
  intern_stack(returns);
  std::vector<Item> none;
  intern_set(none, false, false);  // kDeadSet
  const ByteAutomaton::Rule& root = automaton.rules[automaton.root];
  raw_.assign(1, {root.entry, kBottomStack});
  start_ = close();
}

std::size_t GrammarTable::memory_bytes() const {
  constexpr std::size_t kEntryBytes = 48;  // of a hash table, about
  return returns_.capacity() * sizeof(Return) + stacks_.capacity() * sizeof(Stack) + items_.capacity() * sizeof(Item) +
         sets_.capacity() * sizeof(Set) + next_.capacity() * sizeof(SetId) + mask_bytes_ +
         (stack_ids_.size() + set_ids_.size() + local_masks_.size() + masks_.size()) * kEntryBytes;
}

bool GrammarTable::spend(std::size_t items) {
  work_ += items;
  // Within one call memory may grow beyond what full() says, but not without end.
  const std::size_t bytes = next_.size() * sizeof(SetId) + items_.size() * sizeof(Item) + returns_.size() * sizeof(Return);
  if (work_ > limits_.max_work || bytes > limits_.memory_bytes + kExtraBytes) exhausted_ = true;
  return !exhausted_;
}

StackId GrammarTable::intern_stack(std::vector<Return>& returns) {
  sort_unique(returns);
  std::uint64_t hash = returns.size();
  std::uint32_t depth = 0;
  for (const Return& r : returns) {
    hash = mix(mix(hash, r.place), r.stack);
    if (r.place < kOutside) depth = std::max(depth, stacks_[r.stack].depth + 1);
  }
  const auto [begin, end] = stack_ids_.equal_range(hash);
  for (auto found = begin; found != end; ++found) {
    const Stack& stack = stacks_[found->second];
    if (stack.n_returns == returns.size() &&
        std::equal(returns.begin(), returns.end(), returns_.begin() + static_cast<std::ptrdiff_t>(stack.first)))
      return found->second;
  }
  const auto id = static_cast<StackId>(stacks_.size());
  stacks_.push_back({.first = returns_.size(), .n_returns = static_cast<std::uint32_t>(returns.size()), .depth = depth});
  returns_.insert(returns_.end(), returns.begin(), returns.end());
  stack_ids_.emplace(hash, id);
  return id;
}

SetId GrammarTable::intern_set(std::vector<Item>& items, bool complete, bool outside) {
  sort_unique(items);
  std::uint64_t hash = items.size() * 4 + (complete ? 2 : 0) + (outside ? 1 : 0);
  std::uint32_t depth = 0;
  for (const Item& item : items) {
    hash = mix(mix(hash, item.place), item.stack);
    depth = std::max(depth, stacks_[item.stack].depth);
  }
  const auto [begin, end] = set_ids_.equal_range(hash);
  for (auto found = begin; found != end; ++found) {
    const Set& set = sets_[found->second];
    if (set.n_items == items.size() && set.complete == complete && set.outside == outside &&
        std::equal(items.begin(), items.end(), items_.begin() + static_cast<std::ptrdiff_t>(set.first)))
      return found->second;
  }
  const auto id = static_cast<SetId>(sets_.size());
  sets_.push_back({.first = items_.size(), .n_items = static_cast<std::uint32_t>(items.size()), .depth = depth, .complete = complete, .outside = outside});
  items_.insert(items_.end(), items.begin(), items.end());
  set_ids_.emplace(hash, id);
  return id;
}

SetId GrammarTable::close() {
  ++visit_;
  closed_.clear();
  bool complete = false, outside = false;
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    if (!spend(1)) return kDeadSet;
    const Item item = raw_[i];
    const ByteAutomaton::Place& place = automaton_.places[item.place];
    if (!place.ends) closed_.push_back(item);
    Stack& stack = stacks_[item.stack];
    if (!place.accepts || stack.popped == visit_) continue;
    stack.popped = visit_;
    for (std::size_t r = stack.first; r < stack.first + stack.n_returns; ++r) {
      const Return& back = returns_[r];
      complete = complete || back.place == kEndOfText;
      outside = outside || back.place == kOutside;
      if (back.place < kOutside) raw_.push_back(back);
    }
  }
  if (closed_.empty() && !complete && !outside) return kDeadSet;
  if (closed_.size() > limits_.max_items) exhausted_ = true;
  if (exhausted_) return kDeadSet;
  return intern_set(closed_, complete, outside);
}

/// Adds the items to which calls lead. Rules are taken in an order in which all callers of a rule come before it, so that
/// one stack holds them all.
void GrammarTable::expand(SetId id) {
  open_.clear();
  std::uint32_t asked = 0;
  const auto later = std::greater<>();
  const auto take = [&](const Item& item) {
    if (!automaton_.edges_of(item.place).empty()) open_.push_back(item);
    const std::uint32_t depth = stacks_[item.stack].depth;
    for (const CallEdge& call : automaton_.calls_of(item.place)) {
      const ByteAutomaton::Place& target = automaton_.places[call.target];
      const std::uint32_t inside = automaton_.places[automaton_.rules[call.rule].entry].height;
      const std::uint32_t needed = depth + std::max<std::uint32_t>(inside + 1, target.height);
      asked = std::max(asked, needed);
      if (needed > static_cast<std::uint32_t>(limits_.max_depth)) continue;
      std::vector<Return>& returns = gathered_[call.rule];
      if (returns.empty()) {
        pending_rules_.push_back(automaton_.rules[call.rule].order);
        std::push_heap(pending_rules_.begin(), pending_rules_.end(), later);
      }
      if (target.ends) {  // nothing of this rule is left: the called one returns to whoever called this one
        const Stack& stack = stacks_[item.stack];
        returns.insert(returns.end(), returns_.begin() + static_cast<std::ptrdiff_t>(stack.first),
                       returns_.begin() + static_cast<std::ptrdiff_t>(stack.first + stack.n_returns));
        spend(stack.n_returns);
      } else {
        returns.push_back({call.target, item.stack});
      }
      spend(1);
    }
  };
  for (std::size_t i = 0; i < sets_[id].n_items; ++i) take(Item(items_[sets_[id].first + i]));
  while (!pending_rules_.empty()) {
    std::pop_heap(pending_rules_.begin(), pending_rules_.end(), later);
    const RuleIndex rule = automaton_.by_order[pending_rules_.back()];
    pending_rules_.pop_back();
    std::vector<Return>& returns = gathered_[rule];
    if (spend(returns.size())) take({automaton_.rules[rule].entry, intern_stack(returns)});
    returns.clear();
  }
  if (open_.size() > 4 * limits_.max_items) exhausted_ = true;
  if (exhausted_) return;
  Set& set = sets_[id];
  set.expanded = true;
  set.asked = std::max(set.asked, asked);
  set.first_open = items_.size();
  set.n_open = static_cast<std::uint32_t>(open_.size());
  items_.insert(items_.end(), open_.begin(), open_.end());
}

SetId GrammarTable::compute_step(SetId id, std::uint8_t interval) {
  if (!sets_[id].expanded) expand(id);
  raw_.clear();
  Set& set = sets_[id];
  std::uint32_t asked = set.asked;
  for (std::size_t i = set.first_open; i < set.first_open + set.n_open; ++i) {
    const Item& item = items_[i];
    const std::uint32_t depth = stacks_[item.stack].depth;
    const auto edges = automaton_.edges_of(item.place);
    spend(1 + edges.size() / 8);
    for (const ByteEdge& edge : edges) {
      if (interval < edge.first || interval > edge.last) continue;
      const std::uint32_t needed = depth + automaton_.places[edge.target].height;
      asked = std::max(asked, needed);
      if (needed <= static_cast<std::uint32_t>(limits_.max_depth)) raw_.push_back({edge.target, item.stack});
    }
  }
  set.asked = asked;
  if (raw_.empty()) return kDeadSet;
  sort_unique(raw_);
  return close();
}

SetId GrammarTable::step(SetId id, std::uint8_t byte) {
  if (sets_[id].n_items == 0) return kDeadSet;
  if (sets_[id].first_next == SIZE_MAX) {
    sets_[id].first_next = next_.size();
    next_.resize(next_.size() + automaton_.n_intervals, kUnknownSet);
  }
  const std::uint8_t interval = automaton_.interval[byte];
  const std::size_t at = sets_[id].first_next + interval;
  if (next_[at] == kUnknownSet) {
    const SetId to = compute_step(id, interval);
    if (exhausted_) return kDeadSet;  // not for ever
    next_[at] = to;
  }
  return next_[at];
}

SetId GrammarTable::after(StackId id) {
  if (stacks_[id].after != kUnknownSet) return stacks_[id].after;
  ++visit_;
  raw_.clear();
  const Stack& stack = stacks_[id];
  bool complete = false;
  for (std::size_t r = stack.first; r < stack.first + stack.n_returns; ++r) {
    if (returns_[r].place < kOutside) raw_.push_back(returns_[r]);
    complete = complete || returns_[r].place == kEndOfText;
  }
  SetId set = close();
  if (exhausted_) return kDeadSet;
  if (complete && !sets_[set].complete) {
    std::vector<Item> items(items_.begin() + static_cast<std::ptrdiff_t>(sets_[set].first),
                            items_.begin() + static_cast<std::ptrdiff_t>(sets_[set].first + sets_[set].n_items));
    set = intern_set(items, true, sets_[set].outside);
  }
  return stacks_[id].after = set;
}

SetId GrammarTable::adopt(const GrammarTable& other, SetId id) {
  std::unordered_map<StackId, StackId> known = {{kOutsideStack, kOutsideStack}, {kBottomStack, kBottomStack}};
  const std::function<StackId(StackId)> adopt_stack = [&](StackId theirs) {
    if (const auto found = known.find(theirs); found != known.end()) return found->second;
    const Stack& stack = other.stacks_[theirs];
    std::vector<Return> returns;
    for (std::size_t r = stack.first; r < stack.first + stack.n_returns; ++r) {
      const Return& back = other.returns_[r];
      returns.push_back({back.place, back.place < kOutside ? adopt_stack(back.stack) : back.stack});
    }
    return known[theirs] = intern_stack(returns);
  };
  const Set& set = other.sets_[id];
  std::vector<Item> items;
  for (std::size_t i = set.first; i < set.first + set.n_items; ++i)
    items.push_back({other.items_[i].place, adopt_stack(other.items_[i].stack)});
  return intern_set(items, set.complete, set.outside);
}

}  // namespace colonnade::engine
