#include "engine/text/grammar/token_grammar.h"

#include <algorithm>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/base/clock.h"
#include "engine/text/grammar/grammar_table.h"

namespace colonnade::engine {
namespace {

// Items looked at for one mask or token: some 50 ms.
constexpr std::size_t kMaxWork = std::size_t{1} << 21;
// What a generation may have looked at altogether, and what each token adds: nobody keeps all others waiting for long. A
// usual grammar looks at some thousands of items in all, because what follows from them is remembered.
constexpr std::size_t kCredit = std::size_t{1} << 23;
constexpr std::size_t kCreditOfToken = std::size_t{1} << 15;

}  // namespace

struct TokenGrammar::State {
  std::shared_ptr<const TokenTrie> vocabulary;
  ByteAutomaton automaton;
  TableLimits limits{};
  mutable std::mutex mutex;
  std::shared_ptr<GrammarTable> table;  // what it points to is guarded by the mutex, too

  std::shared_ptr<GrammarTable> fresh_table() const { return std::make_shared<GrammarTable>(automaton, *vocabulary, limits); }
};

TokenGrammar::TokenGrammar(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenGrammar::~TokenGrammar() = default;

Result<std::shared_ptr<const TokenGrammar>> TokenGrammar::compile(const Grammar& grammar,
                                                                  std::shared_ptr<const TokenTrie> vocabulary,
                                                                  const TokenGrammarLimits& limits) {
  COLONNADE_ASSIGN(ByteAutomaton automaton,
                   make_byte_automaton(grammar, {limits.max_positions, limits.max_edges, limits.max_depth, vocabulary->longest_token()}));
  auto state = std::make_unique<State>();
  state->vocabulary = std::move(vocabulary);
  state->automaton = std::move(automaton);
  state->limits = {limits.max_depth, limits.max_items, limits.memory_bytes, kMaxWork};
  state->table = state->fresh_table();
  if (state->table->exhausted()) return Error{ErrorCode::kExhausted, "the grammar can be read in too many ways at its beginning"};
  return std::shared_ptr<const TokenGrammar>(new TokenGrammar(std::move(state)));
}

void TokenGrammar::warm_up(double seconds) const {
  const double until = now_seconds() + seconds;
  std::vector<SetId> order;
  std::unordered_set<SetId> known;
  std::shared_ptr<GrammarTable> table;
  for (std::size_t i = 0; now_seconds() < until; ++i) {
    const std::lock_guard lock(state_->mutex);
    if (table == nullptr) {
      table = state_->table;
      order.push_back(table->start());
      known.insert(table->start());
    }
    // Half of the memory is for what is really met.
    if (i == order.size() || table != state_->table || table->memory_bytes() > state_->limits.memory_bytes / 2) return;
    table->begin_work();
    table->prepare(order[i]);
    for (std::size_t byte = 0; byte < 256; ++byte) {
      if (byte > 0 && state_->automaton.interval[byte] == state_->automaton.interval[byte - 1]) continue;
      const SetId next = table->step(order[i], static_cast<std::uint8_t>(byte));
      if (table->alive(next) && known.insert(next).second) order.push_back(next);
    }
    table->forgive();
  }
}

std::size_t TokenGrammar::memory_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->automaton.memory_bytes() + state_->table->memory_bytes();
}

struct GrammarMatcher::State {
  std::shared_ptr<const TokenGrammar> grammar;
  std::shared_ptr<GrammarTable> table;
  SetId set = kDeadSet;
  bool complete = false;
  bool alive = false;
  std::size_t credit = kCredit;

  /// Under the lock. Moves to the grammar's present table; replaces a full one.
  GrammarTable& enter() {
    TokenGrammar::State& shared = *grammar->state_;
    if (shared.table->full()) shared.table = shared.fresh_table();
    if (table != shared.table) {
      set = shared.table->adopt(*table, set);
      table = shared.table;
    }
    table->begin_work();
    return *table;
  }

  /// At the end of what enter() began. False when it was too much; nothing is allowed any more then.
  bool leave() {
    const bool fine = !table->exhausted() && table->work() <= credit;
    table->forgive();
    credit -= std::min(credit, table->work());
    if (!fine) set = kDeadSet;
    look();
    return fine;
  }

  void look() {
    complete = table->complete(set);
    alive = table->alive(set);
  }
};

GrammarMatcher::GrammarMatcher(std::shared_ptr<const TokenGrammar> grammar) : state_(std::make_unique<State>()) {
  const std::lock_guard lock(grammar->state_->mutex);
  state_->table = grammar->state_->table;
  state_->set = state_->table->start();
  state_->look();
  state_->grammar = std::move(grammar);
}

GrammarMatcher::~GrammarMatcher() = default;
GrammarMatcher::GrammarMatcher(GrammarMatcher&&) noexcept = default;
GrammarMatcher& GrammarMatcher::operator=(GrammarMatcher&&) noexcept = default;

std::size_t GrammarMatcher::mask(std::span<std::uint32_t> bits) {
  COLONNADE_CHECK(bits.size() == state_->grammar->state_->vocabulary->mask_words(), "a mask must have a bit for each token");
  const std::lock_guard lock(state_->grammar->state_->mutex);
  GrammarTable& table = state_->enter();
  const std::size_t count = table.mask(state_->set, bits);
  if (state_->leave()) return count;
  std::fill(bits.begin(), bits.end(), 0u);
  return 0;
}

bool GrammarMatcher::accept(std::int32_t token) {
  const TokenTrie& vocabulary = *state_->grammar->state_->vocabulary;
  const bool known = token >= 0 && token < vocabulary.vocab_size() && !vocabulary.bytes(token).empty();
  return accept_bytes(known ? vocabulary.bytes(token) : std::span<const std::uint8_t>()) && known;
}

bool GrammarMatcher::accept_bytes(std::span<const std::uint8_t> bytes) {
  const std::lock_guard lock(state_->grammar->state_->mutex);
  GrammarTable& table = state_->enter();
  for (const std::uint8_t byte : bytes) state_->set = table.step(state_->set, byte);
  state_->credit = std::min(kCredit, state_->credit + kCreditOfToken);
  return state_->leave() && state_->set != kDeadSet;
}

bool GrammarMatcher::may_end() const { return state_->complete; }
bool GrammarMatcher::may_continue() const { return state_->alive; }

}  // namespace colonnade::engine
