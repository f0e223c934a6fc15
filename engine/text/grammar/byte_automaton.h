// A grammar as a pushdown automaton over bytes: every rule is a finite automaton whose edges read a byte or call a rule.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/grammar/grammar.h"

namespace colonnade::engine {

using Position = std::uint32_t;  // a state of a rule's automaton
using RuleIndex = std::uint32_t;
inline constexpr Position kNoPosition = UINT32_MAX;

/// A byte whose interval (ByteAutomaton::interval) is from first to last leads to `target`.
struct ByteEdge {
  std::uint8_t first;
  std::uint8_t last;
  Position target;
  auto operator<=>(const ByteEdge&) const = default;
};

/// A text of the rule leads to `target`. The empty text does not count: it is among the edges already.
struct CallEdge {
  RuleIndex rule;
  Position target;
  auto operator<=>(const CallEdge&) const = default;
};

struct AutomatonLimits {
  std::size_t max_positions;
  std::size_t max_edges;
  int max_depth;
  std::size_t longest_token;  // bytes
};

/// Immutable. From every position the end of its rule can be reached.
struct ByteAutomaton {
  struct Place {
    std::uint32_t first_edge;
    std::uint32_t first_call;
    Position twin;             // the first position that no token can tell from this one
    Position cousin;           // of a twin: one that no token of at most `alike` bytes can tell from it; itself: none
    std::uint16_t alike;
    std::uint16_t height;      // the least depth of calls with which the end of the rule can be reached
    bool accepts;              // is the end of the rule
    bool ends;                 // nothing follows: neither edges nor calls
  };
  struct Rule {
    Position entry;
    std::uint32_t order;  // a rule that begins with another one comes before it
    bool nullable;
  };
  std::vector<Place> places;  // and one more that ends the last one's edges
  std::vector<ByteEdge> edges;
  std::vector<CallEdge> calls;
  std::vector<Rule> rules;
  std::vector<RuleIndex> by_order;
  RuleIndex root = 0;
  std::array<std::uint8_t, 256> interval{};  // of a byte: bytes that no edge tells apart
  std::size_t n_intervals = 0;

  std::span<const ByteEdge> edges_of(Position p) const {
    return std::span(edges).subspan(places[p].first_edge, places[p + 1].first_edge - places[p].first_edge);
  }
  std::span<const CallEdge> calls_of(Position p) const {
    return std::span(calls).subspan(places[p].first_call, places[p + 1].first_call - places[p].first_call);
  }
  std::size_t n_positions() const { return places.size() - 1; }
  std::size_t memory_bytes() const;
};

Result<ByteAutomaton> make_byte_automaton(const Grammar& grammar, const AutomatonLimits& limits);

// The steps of make_byte_automaton.

/// Edges before they lie by position; bytes instead of intervals.
struct RawAutomaton {
  struct Byte {
    Position from;
    std::uint8_t first, last;
    Position target;
    auto operator<=>(const Byte&) const = default;
  };
  struct Call {
    Position from;
    RuleIndex rule;
    Position target;
    auto operator<=>(const Call&) const = default;
  };
  struct Rule {
    Position entry = kNoPosition;  // of a rule that nothing calls: none
    bool nullable = false;
    std::string name;
  };
  Position n_positions = 0;
  std::vector<Byte> bytes;   // sorted
  std::vector<Call> calls;   // sorted
  std::vector<bool> accepts;
  std::vector<Rule> rules;
  RuleIndex root = 0;
};

/// Expressions as positions; empty moves are gone.
Result<RawAutomaton> expand_grammar(const Grammar& grammar, const AutomatonLimits& limits);
/// Removes what leads nowhere; returns the heights. kInvalidArgument when nothing is left.
Result<std::vector<std::uint16_t>> trim(RawAutomaton& automaton, int max_depth);
/// Each rule's place in an order in which those that begin with a rule come before it. kInvalidArgument for left
/// recursion.
Result<std::vector<std::uint32_t>> left_call_order(const RawAutomaton& automaton);
/// Sets `twin`: positions that look alike for `n_bytes` bytes, whatever is called; and `cousin`: fewer bytes.
void find_twins(ByteAutomaton& automaton, std::size_t n_bytes);

}  // namespace colonnade::engine
