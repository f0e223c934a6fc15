#include "engine/text/grammar/byte_automaton.h"

#include <algorithm>
#include <utility>

namespace colonnade::engine {
namespace {

/// Bytes between two ends of edges are the same to the automaton.
void find_intervals(const RawAutomaton& raw, ByteAutomaton& out) {
  std::array<bool, 257> begins{};
  begins[0] = true;
  for (const RawAutomaton::Byte& edge : raw.bytes) {
    begins[edge.first] = true;
    begins[std::size_t{edge.last} + 1] = true;
  }
  std::size_t interval = 0;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    if (byte > 0 && begins[byte]) ++interval;
    out.interval[byte] = static_cast<std::uint8_t>(interval);
  }
  out.n_intervals = interval + 1;
}

}  // namespace

std::size_t ByteAutomaton::memory_bytes() const {
  return places.capacity() * sizeof(Place) + edges.capacity() * sizeof(ByteEdge) + calls.capacity() * sizeof(CallEdge) +
         rules.capacity() * (sizeof(Rule) + sizeof(RuleIndex));
}

Result<ByteAutomaton> make_byte_automaton(const Grammar& grammar, const AutomatonLimits& limits) {
  COLONNADE_ASSIGN(RawAutomaton raw, expand_grammar(grammar, limits));
  COLONNADE_ASSIGN(const std::vector<std::uint16_t> heights, trim(raw, limits.max_depth));
  COLONNADE_ASSIGN(const std::vector<std::uint32_t> order, left_call_order(raw));
  ByteAutomaton out;
  find_intervals(raw, out);
  out.root = raw.root;
  std::size_t byte = 0, call = 0;
  for (Position p = 0; p <= raw.n_positions; ++p) {
    while (byte < raw.bytes.size() && raw.bytes[byte].from < p) ++byte;
    while (call < raw.calls.size() && raw.calls[call].from < p) ++call;
    const bool last = p == raw.n_positions;
    const bool has_edges = (byte < raw.bytes.size() && raw.bytes[byte].from == p) || (call < raw.calls.size() && raw.calls[call].from == p);
    out.places.push_back({static_cast<std::uint32_t>(byte), static_cast<std::uint32_t>(call), p, p, 0, last ? std::uint16_t{0} : heights[p],
                          !last && raw.accepts[p], !has_edges});
  }
  for (const RawAutomaton::Byte& e : raw.bytes) out.edges.push_back({out.interval[e.first], out.interval[e.last], e.target});
  for (const RawAutomaton::Call& e : raw.calls) out.calls.push_back({e.rule, e.target});
  out.by_order.resize(raw.rules.size());
  for (RuleIndex r = 0; r < raw.rules.size(); ++r) {
    out.rules.push_back({raw.rules[r].entry, order[r], raw.rules[r].nullable});
    out.by_order[order[r]] = r;
  }
  find_twins(out, limits.longest_token);
  return out;
}

}  // namespace colonnade::engine
