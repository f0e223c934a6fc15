// What is known of a pushdown automaton's ways so far: its stacks, the sets of places where a text can stand, where each byte
// leads, and masks. Grows as it is used; one lock of its owner guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/text/grammar/byte_automaton.h"
#include "engine/text/grammar/token_trie.h"

namespace colonnade::engine {

/// A stack: who is to go on when the rule on top ends. Stacks share what is below, and calls of one rule at one place of
/// the text share one stack, so there are few of them however ambiguous the grammar is.
using StackId = std::uint32_t;
/// A set of places where the text so far may stand, each with its stack.
using SetId = std::uint32_t;

inline constexpr SetId kDeadSet = 0;

/// Bounds on the work for one mask or token; beyond them the table gives up (exhausted()).
struct TableLimits {
  int max_depth;
  std::size_t max_items;     // of one set
  std::size_t memory_bytes;  // of the table; checked by its owner, who starts a new one
  std::size_t max_work;      // items looked at for one mask or token
};

/// Tokens of a mask: a list where they are few, else bits.
struct TokenSet {
  bool known = false;
  std::size_t count = 0;
  std::vector<std::uint32_t> bits;
  std::vector<std::int32_t> list;

  void add_to(std::span<std::uint32_t> out) const;
  void take(std::span<const std::uint32_t> bits_in);
  std::size_t memory_bytes() const { return bits.capacity() * 4 + list.capacity() * 4; }
};

class GrammarTable {
 public:
  GrammarTable(const ByteAutomaton& automaton, const TokenTrie& vocabulary, const TableLimits& limits);

  SetId start() const { return start_; }
  /// Where `byte` leads; kDeadSet: nowhere.
  SetId step(SetId set, std::uint8_t byte);
  bool complete(SetId set) const { return sets_[set].complete; }
  bool alive(SetId set) const { return sets_[set].n_items > 0; }
  /// The tokens that may follow; returns how many.
  std::size_t mask(SetId set, std::span<std::uint32_t> out);
  /// Computes the mask and keeps what it takes.
  void prepare(SetId set);

  /// A set of another table with the same automaton and vocabulary.
  SetId adopt(const GrammarTable& other, SetId set);

  /// Work starts anew; what was too much stays so.
  void begin_work() { work_ = 0; }
  std::size_t work() const { return work_; }
  bool exhausted() const { return exhausted_; }
  void forgive() { exhausted_ = false; }
  bool full() const { return memory_bytes() > limits_.memory_bytes; }
  std::size_t memory_bytes() const;

 private:
  /// Place of a return that is none: the end of the text, or of a rule whose caller is unknown.
  static constexpr Position kEndOfText = UINT32_MAX - 1;
  static constexpr Position kOutside = UINT32_MAX - 2;
  static constexpr StackId kOutsideStack = 0;
  static constexpr StackId kBottomStack = 1;
  static constexpr SetId kUnknownSet = UINT32_MAX;

  struct Item {
    Position place;
    StackId stack;  // of the rule that `place` is in
    auto operator<=>(const Item&) const = default;
  };
  /// After the rule, go on at `place` with `stack`.
  using Return = Item;

  struct Stack {
    std::size_t first;  // into returns_
    std::uint32_t n_returns;
    std::uint32_t depth;
    SetId after = kUnknownSet;  // where the text stands when the rule ends
    std::uint32_t popped = 0;   // last visit
  };
  struct Set {
    std::size_t first;  // into items_
    std::uint32_t n_items;
    std::uint32_t depth;      // of its deepest stack
    bool complete;            // the text may end here
    bool outside;             // the rule may end here, whose caller is unknown
    bool expanded = false;
    std::uint32_t asked = 0;  // the deepest that calls and bytes from here would go
    std::size_t first_open = 0;  // into items_: with what calls lead to
    std::uint32_t n_open = 0;
    std::size_t first_next = SIZE_MAX;  // into next_
  };
  /// For places of one rule with an unknown caller.
  struct LocalMask {
    TokenSet tokens;                    // that the place alone decides
    std::vector<std::uint32_t> beyond;  // nodes of the trie at which the rule may end, with nodes below them
    std::size_t below = 0;              // nodes below them
    std::uint32_t asked = 0;            // the deepest that any token would go
    bool known = false;
  };
  struct Hash {
    std::size_t operator()(std::uint64_t h) const { return static_cast<std::size_t>(h); }
  };

  StackId intern_stack(std::vector<Return>& returns);
  SetId intern_set(std::vector<Item>& items, bool complete, bool outside);
  /// The set of the items in raw_, after the ends of rules have been followed.
  SetId close();
  void expand(SetId set);
  SetId compute_step(SetId set, std::uint8_t interval);
  SetId after(StackId stack);
  bool spend(std::size_t items);

  template <typename Visit>
  void walk(SetId from, std::uint32_t begin, std::uint32_t end, std::size_t shortest, Visit visit);
  void allow_below(SetId from, std::uint32_t begin, std::uint32_t end, std::span<std::uint32_t> out);
  const LocalMask& local_mask(std::span<const Item> group);
  std::size_t take_from_cousins(const std::vector<Item>& items, LocalMask& mask);
  void compute_mask(SetId set, std::span<std::uint32_t> out);

  const ByteAutomaton& automaton_;
  const TokenTrie& vocabulary_;
  const TableLimits limits_;
  SetId start_ = kDeadSet;
  std::vector<Return> returns_;
  std::vector<Stack> stacks_;
  std::vector<Item> items_;
  std::vector<Set> sets_;
  std::vector<SetId> next_;  // (set, interval)
  std::unordered_multimap<std::uint64_t, StackId, Hash> stack_ids_;
  std::unordered_multimap<std::uint64_t, SetId, Hash> set_ids_;
  std::unordered_map<SetId, LocalMask> local_masks_;
  std::unordered_map<SetId, TokenSet> masks_;
  std::size_t mask_bytes_ = 0;
  std::size_t work_ = 0;
  std::uint32_t visit_ = 0;
  bool exhausted_ = false;

  // Scratch.
  std::vector<Item> raw_, closed_, open_;
  std::vector<std::vector<Return>> gathered_;  // by rule
  std::vector<std::uint32_t> pending_rules_;   // orders, a heap
  struct Level {
    std::uint32_t end;
    SetId set;
  };
  std::vector<Level> levels_;
  std::vector<std::uint32_t> scratch_bits_, scratch_mask_;
};

}  // namespace colonnade::engine
