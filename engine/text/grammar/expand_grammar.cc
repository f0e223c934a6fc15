// Expressions → positions (Thompson's construction), then empty moves are followed once and for all.
#include <algorithm>
#include <map>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/grammar/byte_automaton.h"
#include "engine/text/grammar/utf8_sequences.h"

namespace colonnade::engine {
namespace {

using State = std::uint32_t;

// A repeated expression of so many states altogether becomes a rule, so that each repetition is one state.
constexpr std::size_t kLargestRepeat = 40000;
// Rules that call none and are no larger are put where they are used: fewer ends of rules for tokens to reach beyond.
constexpr std::size_t kSmallRule = 16;

class Expansion {
 public:
  Expansion(const Grammar& grammar, const AutomatonLimits& limits) : grammar_(grammar), limits_(limits) {}

  Result<RawAutomaton> run() {
    measure();
    for (const Grammar::Rule& rule : grammar_.rules) rules_.push_back({rule.name, rule.body});
    entries_.resize(rules_.size());
    used_.resize(rules_.size());
    use_rule(static_cast<RuleIndex>(grammar_.root));
    while (!waiting_.empty()) {
      const RuleIndex rule = waiting_.back();
      waiting_.pop_back();
      const State entry = fresh();
      const GrammarExpr body = rules_[rule].body;
      const State end = build(body, entry);
      entries_[rule] = entry;
      ends_.push_back(end);
      end_rules_.push_back(rule);
      COLONNADE_TRY(check_size());
    }
    return collect();
  }

 private:
  struct NamedRule {
    std::string name;
    GrammarExpr body;
  };

  const Grammar::Expr& expr(GrammarExpr e) const { return grammar_.exprs[static_cast<std::size_t>(e)]; }
  std::span<const GrammarExpr> children(const Grammar::Expr& e) const {
    return std::span(grammar_.children).subspan(static_cast<std::size_t>(e.first), static_cast<std::size_t>(e.count));
  }

  /// About how many states each expression takes, and whether it uses rules. Children come before their parents.
  void measure() {
    sizes_.resize(grammar_.exprs.size());
    plain_.resize(grammar_.exprs.size());
    for (std::size_t i = 0; i < grammar_.exprs.size(); ++i) {
      const Grammar::Expr& e = grammar_.exprs[i];
      std::size_t size = 1;
      bool plain = true;
      switch (e.kind) {
        case Grammar::Kind::kLiteral: size = static_cast<std::size_t>(e.count); break;
        case Grammar::Kind::kChars: {
          const auto ranges = std::span(grammar_.ranges).subspan(static_cast<std::size_t>(e.first), static_cast<std::size_t>(e.count));
          size = ranges.empty() || ranges.back().last < 0x80 ? 1 : 8;
          break;
        }
        case Grammar::Kind::kSequence:
        case Grammar::Kind::kChoice:
          for (const GrammarExpr child : children(e)) {
            size += sizes_[static_cast<std::size_t>(child)];
            plain = plain && plain_[static_cast<std::size_t>(child)];
          }
          break;
        case Grammar::Kind::kRepeat: {
          const auto child = static_cast<std::size_t>(children(e)[0]);
          const auto times = static_cast<std::size_t>(std::max({e.min, e.max, 1}));
          size = std::min(times * sizes_[child], times + kLargestRepeat);
          plain = plain_[child];
          break;
        }
        case Grammar::Kind::kRule: plain = false; break;
      }
      sizes_[i] = std::min(size, std::size_t{1} << 40);
      plain_[i] = plain;
    }
  }

  State fresh() { return n_states_++; }
  bool full() const {
    return n_states_ > 4 * limits_.max_positions || bytes_.size() + calls_.size() > limits_.max_edges || work_ > 4 * limits_.max_edges;
  }

  Status check_size() const {
    if (!full()) return {};
    return Error{ErrorCode::kExhausted, text("the grammar is too large: expected at most ", limits_.max_positions,
                                             " positions and ", limits_.max_edges, " edges when repetitions are written out")};
  }

  void use_rule(RuleIndex rule) {
    if (used_[rule]) return;
    used_[rule] = true;
    waiting_.push_back(rule);
  }

  void empty_move(State from, State to) { empty_.emplace_back(from, to); }
  void byte_edge(State from, ByteInterval range, State to) { bytes_.push_back({from, range.first, range.last, to}); }

  State call(RuleIndex rule, State from) {
    use_rule(rule);
    const State to = fresh();
    calls_.push_back({from, rule, to});
    return to;
  }

  /// Adds what leads from `from` over texts of `e` to the state that is returned; `from` is never entered by it.
  State build(GrammarExpr index, State from) {
    ++work_;
    if (full()) return from;  // check_size() will say so
    const Grammar::Expr& e = expr(index);
    switch (e.kind) {
      case Grammar::Kind::kLiteral:
        for (std::int32_t i = 0; i < e.count; ++i) {
          const auto byte = static_cast<std::uint8_t>(grammar_.bytes[static_cast<std::size_t>(e.first + i)]);
          const State to = fresh();
          byte_edge(from, {byte, byte}, to);
          from = to;
        }
        return from;
      case Grammar::Kind::kChars: return build_chars(e, from);
      case Grammar::Kind::kSequence:
        for (const GrammarExpr child : children(e)) from = build(child, from);
        return from;
      case Grammar::Kind::kChoice: {
        const State to = fresh();
        for (const GrammarExpr child : children(e)) empty_move(build(child, from), to);
        return to;
      }
      case Grammar::Kind::kRepeat: return build_repeat(e, from);
      case Grammar::Kind::kRule: {
        const auto rule = static_cast<RuleIndex>(e.first);
        const auto body = static_cast<std::size_t>(rules_[rule].body);
        if (plain_[body] && sizes_[body] <= kSmallRule) return build(rules_[rule].body, from);
        return call(rule, from);
      }
    }
    return from;
  }

  State build_chars(const Grammar::Expr& e, State from) {
    const State to = fresh();
    std::vector<ByteSequence> sequences;
    for (std::int32_t i = 0; i < e.count; ++i) append_byte_sequences(grammar_.ranges[static_cast<std::size_t>(e.first + i)], sequences);
    std::map<std::string, State> shared;  // by the ranges that are still to come
    for (const ByteSequence& sequence : sequences) {
      State next = to;
      std::string rest;
      for (int i = sequence.size - 1; i > 0; --i) {
        const ByteInterval range = sequence.ranges[static_cast<std::size_t>(i)];
        rest += static_cast<char>(range.first);
        rest += static_cast<char>(range.last);
        const auto [place, is_new] = shared.try_emplace(rest, n_states_);
        if (is_new) byte_edge(fresh(), range, next);
        next = place->second;
      }
      byte_edge(from, sequence.ranges[0], next);
    }
    return to;
  }

  State build_repeat(const Grammar::Expr& e, State from) {
    GrammarExpr part = children(e)[0];
    const auto times = static_cast<std::size_t>(std::max({e.min, e.max, 1}));
    const std::size_t size = sizes_[static_cast<std::size_t>(part)];
    const bool as_rule = size > 2 && times > 4 && times * size > kLargestRepeat;
    const auto one = [&](State at) { return as_rule ? call(rule_of(part), at) : build(part, at); };
    for (int i = 0; i < e.min && !full(); ++i) from = one(from);
    if (e.max == kUnbounded) {
      const State loop = fresh();
      empty_move(from, loop);
      empty_move(one(loop), loop);
      return loop;
    }
    const State to = fresh();
    for (int i = e.min; i < e.max && !full(); ++i) {
      empty_move(from, to);
      from = one(from);
    }
    empty_move(from, to);
    return to;
  }

  RuleIndex rule_of(GrammarExpr part) {
    const auto [place, is_new] = made_rules_.try_emplace(part, static_cast<RuleIndex>(rules_.size()));
    if (is_new) {
      rules_.push_back({"a repeated part", part});
      entries_.push_back(0);
      used_.push_back(false);
    }
    return place->second;
  }

  Result<RawAutomaton> collect();
  void find_nullable(RawAutomaton& out);
  template <typename Edge, typename Visit>
  void for_edges(const std::vector<Edge>& edges, const std::vector<std::uint32_t>& first, State state, Visit visit) const {
    for (std::uint32_t i = first[state]; i < first[state + 1]; ++i) visit(edges[i]);
  }

  struct StateByte {
    State from;
    std::uint8_t first, last;
    State to;
  };
  struct StateCall {
    State from;
    RuleIndex rule;
    State to;
  };

  const Grammar& grammar_;
  const AutomatonLimits& limits_;
  std::vector<std::size_t> sizes_;
  std::vector<bool> plain_;
  std::vector<NamedRule> rules_;
  std::vector<State> entries_;   // by rule
  std::vector<bool> used_;
  std::vector<RuleIndex> waiting_;
  std::vector<State> ends_;
  std::vector<RuleIndex> end_rules_;
  std::map<GrammarExpr, RuleIndex> made_rules_;
  State n_states_ = 0;
  std::size_t work_ = 0;  // expressions built
  std::vector<std::pair<State, State>> empty_;
  std::vector<StateByte> bytes_;
  std::vector<StateCall> calls_;
};

/// Where the edges of each state begin, once they are sorted by state.
template <typename Edge, typename From>
std::vector<std::uint32_t> sort_by_state(std::vector<Edge>& edges, State n_states, From from) {
  std::stable_sort(edges.begin(), edges.end(), [&](const Edge& a, const Edge& b) { return from(a) < from(b); });
  std::vector<std::uint32_t> first(n_states + 1, 0);
  for (const Edge& edge : edges) ++first[from(edge) + 1];
  for (std::size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
  return first;
}

/// Rules that match the empty text: their end is reached over empty moves and calls of such rules.
void Expansion::find_nullable(RawAutomaton& out) {
  std::vector<RuleIndex> end_of(n_states_, static_cast<RuleIndex>(rules_.size()));
  for (std::size_t i = 0; i < ends_.size(); ++i) end_of[ends_[i]] = end_rules_[i];
  // Backwards from the ends; a call whose end is reached waits for its rule.
  std::vector<std::vector<State>> before(n_states_);
  for (const auto& [from, to] : empty_) before[to].push_back(from);
  std::vector<std::vector<std::pair<State, RuleIndex>>> calls_before(n_states_);
  for (const StateCall& c : calls_) calls_before[c.to].emplace_back(c.from, c.rule);
  std::vector<std::vector<State>> blocked(rules_.size());  // reached if the rule is nullable
  std::vector<std::vector<RuleIndex>> entry_of(n_states_);
  for (RuleIndex r = 0; r < rules_.size(); ++r)
    if (used_[r]) entry_of[entries_[r]].push_back(r);
  std::vector<bool> reached(n_states_, false);
  std::vector<State> work(ends_);
  while (!work.empty()) {
    const State state = work.back();
    work.pop_back();
    if (reached[state]) continue;
    reached[state] = true;
    work.insert(work.end(), before[state].begin(), before[state].end());
    for (const auto& [from, rule] : calls_before[state]) {
      if (out.rules[rule].nullable) work.push_back(from);
      else blocked[rule].push_back(from);
    }
    for (const RuleIndex rule : entry_of[state]) {
      out.rules[rule].nullable = true;
      work.insert(work.end(), blocked[rule].begin(), blocked[rule].end());
    }
  }
}

Result<RawAutomaton> Expansion::collect() {
  RawAutomaton out;
  out.rules.resize(rules_.size());
  for (RuleIndex r = 0; r < rules_.size(); ++r) out.rules[r].name = rules_[r].name;
  find_nullable(out);
  for (const StateCall& c : calls_)
    if (out.rules[c.rule].nullable) empty_.emplace_back(c.from, c.to);
  const auto first_empty = sort_by_state(empty_, n_states_, [](const auto& e) { return e.first; });
  const auto first_byte = sort_by_state(bytes_, n_states_, [](const auto& e) { return e.from; });
  const auto first_call = sort_by_state(calls_, n_states_, [](const auto& e) { return e.from; });
  std::vector<bool> is_end(n_states_, false);
  for (const State end : ends_) is_end[end] = true;

  // Positions are the states that edges lead to, and entries: numbered as they are met.
  constexpr Position kNone = UINT32_MAX;
  std::vector<Position> number(n_states_, kNone);
  std::vector<State> order;
  const auto position = [&](State state) {
    if (number[state] == kNone) {
      number[state] = static_cast<Position>(order.size());
      order.push_back(state);
    }
    return number[state];
  };
  for (RuleIndex r = 0; r < rules_.size(); ++r)
    if (used_[r]) out.rules[r].entry = position(entries_[r]);
  std::vector<State> seen(n_states_, UINT32_MAX);  // by which position
  std::vector<State> work;
  std::size_t moves = 0;
  for (Position p = 0; p < order.size(); ++p) {
    bool accepts = false;
    work.assign(1, order[p]);
    seen[order[p]] = p;
    const std::size_t bytes_before = out.bytes.size(), calls_before = out.calls.size();
    while (!work.empty()) {
      const State state = work.back();
      work.pop_back();
      ++moves;
      accepts = accepts || is_end[state];
      for_edges(bytes_, first_byte, state, [&](const StateByte& e) { out.bytes.push_back({p, e.first, e.last, position(e.to)}); });
      for_edges(calls_, first_call, state, [&](const StateCall& e) { out.calls.push_back({p, e.rule, position(e.to)}); });
      for_edges(empty_, first_empty, state, [&](const auto& e) {
        if (seen[e.second] == p) return;
        seen[e.second] = p;
        work.push_back(e.second);
      });
    }
    out.accepts.push_back(accepts);
    const auto tidy = [](auto& edges, std::size_t begin) {
      std::sort(edges.begin() + static_cast<std::ptrdiff_t>(begin), edges.end());
      edges.erase(std::unique(edges.begin() + static_cast<std::ptrdiff_t>(begin), edges.end()), edges.end());
    };
    tidy(out.bytes, bytes_before);
    tidy(out.calls, calls_before);
    if (order.size() > limits_.max_positions || out.bytes.size() + out.calls.size() > limits_.max_edges || moves > 16 * limits_.max_edges)
      return Error{ErrorCode::kExhausted, text("the grammar is too large: expected at most ", limits_.max_positions, " positions and ",
                                               limits_.max_edges, " edges when repetitions are written out")};
  }
  out.n_positions = static_cast<Position>(order.size());
  out.root = static_cast<RuleIndex>(grammar_.root);
  return out;
}

}  // namespace

Result<RawAutomaton> expand_grammar(const Grammar& grammar, const AutomatonLimits& limits) {
  return Expansion(grammar, limits).run();
}

}  // namespace colonnade::engine
