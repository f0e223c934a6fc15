// Which positions no token can tell apart: a text of at most 500 characters looks the same from most places within it.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "engine/text/grammar/byte_automaton.h"

namespace colonnade::engine {
namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15ull + (hash << 6) + (hash >> 2);
  hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9ull;
  hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBull;
  return hash ^ (hash >> 31);
}

/// Groups of positions, refined round by round (Moore): after n rounds two positions of a group cannot be told apart by n
/// bytes. Only positions before one whose group has changed are looked at again.
class Refinement {
 public:
  explicit Refinement(const ByteAutomaton& automaton)
      : automaton_(automaton), group_(automaton.n_positions(), 0), before_(automaton.n_positions()) {
    for (Position p = 0; p < automaton.n_positions(); ++p) {
      for (const ByteEdge& edge : automaton.edges_of(p)) before_[edge.target].push_back(p);
      for (const CallEdge& edge : automaton.calls_of(p)) before_[edge.target].push_back(p);
    }
    sizes_.push_back(automaton.n_positions());
    splits_.push_back({0, 0});
    std::vector<Position> all(automaton.n_positions());
    for (Position p = 0; p < all.size(); ++p) all[p] = p;
    changed_ = regroup(all, [&](Position p) { return look(p); });
  }

  /// False when nothing changes any more.
  bool refine() {
    ++round_;
    std::vector<Position> again;
    for (const Position p : changed_) again.insert(again.end(), before_[p].begin(), before_[p].end());
    std::sort(again.begin(), again.end());
    again.erase(std::unique(again.begin(), again.end()), again.end());
    changed_ = regroup(again, [&](Position p) { return look(p); });
    return !changed_.empty();
  }

  const std::vector<std::uint32_t>& groups() const { return group_; }

  /// From which group one was taken, and for how many bytes they look alike; 0 for the first ones.
  struct Split {
    std::uint32_t from;
    std::size_t alike;
  };
  const Split& split_of(std::uint32_t group) const { return splits_[group]; }

 private:
  std::uint64_t look(Position p) const {
    const auto group = [&](Position target) { return std::uint64_t{group_[target]}; };
    std::vector<std::uint64_t> parts;
    for (const ByteEdge& e : automaton_.edges_of(p))
      parts.push_back(mix(mix(1, std::uint64_t{e.first} << 8 | e.last), group(e.target)));
    for (const CallEdge& e : automaton_.calls_of(p)) parts.push_back(mix(mix(2, e.rule), group(e.target)));
    std::sort(parts.begin(), parts.end());
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    // Heights decide what is allowed close to the limit of depth.
    std::uint64_t hash = mix(automaton_.places[p].accepts ? 3 : 4, automaton_.places[p].height);
    for (const std::uint64_t part : parts) hash = mix(hash, part);
    return hash;
  }

  using Sorted = std::vector<std::pair<std::pair<std::uint32_t, std::uint64_t>, Position>>;

  static std::uint64_t commonest_look(const Sorted& sorted, std::size_t begin, std::size_t end) {
    std::size_t most = 0;
    std::uint64_t look = 0;
    for (std::size_t i = begin; i < end;) {
      std::size_t next = i;
      while (next < end && sorted[next].first.second == sorted[i].first.second) ++next;
      if (next - i > most) look = sorted[i].first.second;
      most = std::max(most, next - i);
      i = next;
    }
    return look;
  }

  /// Splits each group by the looks of its members among `positions` and of those that are not (which look as before).
  /// Returns who is in another group than before.
  template <typename Look>
  std::vector<Position> regroup(const std::vector<Position>& positions, Look look_of) {
    Sorted sorted;
    sorted.reserve(positions.size());
    for (const Position p : positions) sorted.push_back({{group_[p], look_of(p)}, p});
    std::sort(sorted.begin(), sorted.end());
    std::vector<Position> moved;
    for (std::size_t begin = 0; begin < sorted.size();) {
      const std::uint32_t group = sorted[begin].first.first;
      std::size_t group_end = begin;
      while (group_end < sorted.size() && sorted[group_end].first.first == group) ++group_end;
      // Members that were not looked at keep the group; if there are none, the most do, so that few move. Their look is
      // stored to see whether others still share it.
      const bool all = group_end - begin == sizes_[group];
      std::uint64_t kept = looks_[group];
      if (all) kept = commonest_look(sorted, begin, group_end);
      for (std::size_t i = begin; i < group_end;) {
        const std::uint64_t look = sorted[i].first.second;
        std::size_t end = i;
        while (end < group_end && sorted[end].first.second == look) ++end;
        if (look == kept) {
          looks_[group] = look;
        } else {
          const auto fresh = static_cast<std::uint32_t>(sizes_.size());
          sizes_.push_back(end - i);
          splits_.push_back({group, round_});
          sizes_[group] -= end - i;
          looks_[fresh] = look;
          for (std::size_t m = i; m < end; ++m) {
            group_[sorted[m].second] = fresh;
            moved.push_back(sorted[m].second);
          }
        }
        i = end;
      }
      begin = group_end;
    }
    return moved;
  }

  const ByteAutomaton& automaton_;
  std::vector<std::uint32_t> group_;
  std::vector<std::vector<Position>> before_;
  std::vector<std::size_t> sizes_;                            // by group
  std::unordered_map<std::uint32_t, std::uint64_t> looks_;    // by group: of the members that kept it
  std::vector<Split> splits_;                                 // by group
  std::size_t round_ = 0;
  std::vector<Position> changed_;
};

}  // namespace

void find_twins(ByteAutomaton& automaton, std::size_t n_bytes) {
  Refinement refinement(automaton);
  for (std::size_t round = 1; round < n_bytes && refinement.refine(); ++round) {
  }
  std::unordered_map<std::uint32_t, Position> first;
  for (Position p = 0; p < automaton.n_positions(); ++p)
    automaton.places[p].twin = first.try_emplace(refinement.groups()[p], p).first->second;
  for (const auto& [group, twin] : first) {
    const Refinement::Split& split = refinement.split_of(group);
    if (split.alike == 0) continue;
    automaton.places[twin].cousin = first.at(split.from);
    automaton.places[twin].alike = static_cast<std::uint16_t>(std::min<std::size_t>(split.alike, UINT16_MAX));
  }
}

}  // namespace colonnade::engine
