// What of an automaton can be part of a text at all, and whether rules begin with themselves.
#include <algorithm>
#include <queue>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/grammar/byte_automaton.h"

namespace colonnade::engine {
namespace {

constexpr std::uint32_t kNever = UINT32_MAX;

/// For each position the indices of the edges that lead to it.
template <typename Edge>
std::vector<std::vector<std::uint32_t>> edges_into(const std::vector<Edge>& edges, Position n_positions) {
  std::vector<std::vector<std::uint32_t>> into(n_positions);
  for (std::uint32_t i = 0; i < edges.size(); ++i) into[edges[i].target].push_back(i);
  return into;
}

/// The least depth of calls on a way from each position to the end of its rule; kNever where there is no way. Settled
/// from small to large, as Dijkstra does.
std::vector<std::uint32_t> least_depths(const RawAutomaton& a) {
  const auto bytes_into = edges_into(a.bytes, a.n_positions);
  const auto calls_into = edges_into(a.calls, a.n_positions);
  std::vector<std::vector<std::uint32_t>> calls_of(a.rules.size());
  for (std::uint32_t i = 0; i < a.calls.size(); ++i) calls_of[a.calls[i].rule].push_back(i);
  std::vector<std::vector<RuleIndex>> entry_of(a.n_positions);
  for (RuleIndex r = 0; r < a.rules.size(); ++r)
    if (!calls_of[r].empty()) entry_of[a.rules[r].entry].push_back(r);

  std::vector<std::uint32_t> depth(a.n_positions, kNever);
  using Entry = std::pair<std::uint32_t, Position>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  for (Position p = 0; p < a.n_positions; ++p)
    if (a.accepts[p]) queue.emplace(0, p);
  const auto offer_call = [&](const RawAutomaton::Call& call) {
    const std::uint32_t inside = depth[a.rules[call.rule].entry], after = depth[call.target];
    if (inside != kNever && after != kNever) queue.emplace(std::max(inside + 1, after), call.from);
  };
  while (!queue.empty()) {
    const auto [value, p] = queue.top();
    queue.pop();
    if (depth[p] != kNever) continue;
    depth[p] = value;
    for (const std::uint32_t i : bytes_into[p]) queue.emplace(value, a.bytes[i].from);
    for (const std::uint32_t i : calls_into[p]) offer_call(a.calls[i]);
    for (const RuleIndex r : entry_of[p])
      for (const std::uint32_t i : calls_of[r]) offer_call(a.calls[i]);
  }
  return depth;
}

}  // namespace

Result<std::vector<std::uint16_t>> trim(RawAutomaton& a, int max_depth) {
  const std::vector<std::uint32_t> depth = least_depths(a);
  const std::uint32_t least = depth[a.rules[a.root].entry];
  if (least == kNever) return Error{ErrorCode::kInvalidArgument, "the grammar matches no text at all"};
  if (least > static_cast<std::uint32_t>(max_depth))
    return Error{ErrorCode::kInvalidArgument, text("every text of the grammar is nested too deeply: expected at most ", max_depth,
                                                   " rules within each other, found ", least)};
  // What is deeper than the limit is as good as impossible.
  const auto possible = [&](Position p) { return depth[p] <= static_cast<std::uint32_t>(max_depth); };
  std::erase_if(a.bytes, [&](const RawAutomaton::Byte& e) { return !possible(e.from) || !possible(e.target); });
  std::erase_if(a.calls, [&](const RawAutomaton::Call& e) {
    return !possible(e.from) || !possible(e.target) || !possible(a.rules[e.rule].entry);
  });
  std::vector<std::uint16_t> heights(a.n_positions, 0);
  for (Position p = 0; p < a.n_positions; ++p)
    if (possible(p)) heights[p] = static_cast<std::uint16_t>(depth[p]);
  return heights;
}

Result<std::vector<std::uint32_t>> left_call_order(const RawAutomaton& a) {
  // An entry's calls are all rules that the rule may begin with: what matches the empty text was skipped already.
  std::vector<std::vector<RuleIndex>> begins_with(a.rules.size());
  std::vector<std::vector<RuleIndex>> entry_of(a.n_positions);
  for (RuleIndex r = 0; r < a.rules.size(); ++r)
    if (a.rules[r].entry != kNoPosition) entry_of[a.rules[r].entry].push_back(r);
  std::vector<std::uint32_t> pending(a.rules.size(), 0);
  for (const RawAutomaton::Call& call : a.calls) {
    for (const RuleIndex r : entry_of[call.from]) {
      begins_with[r].push_back(call.rule);
      ++pending[call.rule];
    }
  }
  std::vector<RuleIndex> ready;
  for (RuleIndex r = 0; r < a.rules.size(); ++r)
    if (pending[r] == 0) ready.push_back(r);
  std::vector<std::uint32_t> order(a.rules.size(), 0);
  std::uint32_t next = 0;
  while (!ready.empty()) {
    const RuleIndex r = ready.back();
    ready.pop_back();
    order[r] = next++;
    for (const RuleIndex other : begins_with[r])
      if (--pending[other] == 0) ready.push_back(other);
  }
  if (next == a.rules.size()) return order;
  // Every rule that is left lies on a circle or after one: walk backwards until a rule comes twice.
  std::vector<RuleIndex> before(a.rules.size(), 0);
  RuleIndex at = 0;
  for (RuleIndex r = 0; r < a.rules.size(); ++r) {
    if (pending[r] == 0) continue;
    at = r;
    for (const RuleIndex other : begins_with[r]) before[other] = r;
  }
  std::vector<bool> seen(a.rules.size(), false);
  for (; !seen[at]; at = before[at]) seen[at] = true;
  return Error{ErrorCode::kInvalidArgument,
               text("rule \"", a.rules[at].name, "\" is left-recursive: it can begin with itself; put the repetition after what it begins with")};
}

}  // namespace colonnade::engine
