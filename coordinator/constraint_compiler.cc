#include "coordinator/constraint_compiler.h"

#include <algorithm>
#include <utility>

#include "engine/text/grammar/gbnf.h"
#include "engine/text/grammar/json_schema.h"
#include "engine/text/tokenizer.h"

namespace colonnade::coordinator {
namespace {

// Of all that is kept for later requests; what running ones use lives on without being counted.
constexpr std::size_t kMaxEntries = 64;
constexpr std::size_t kMaxBytes = std::size_t{256} << 20;
// Masks for whole vocabularies take milliseconds the first time: better here than between two steps.
constexpr double kWarmUpSeconds = 0.05;

class GrammarConstraint final : public TokenConstraint {
 public:
  explicit GrammarConstraint(std::shared_ptr<const engine::TokenGrammar> grammar) : matcher_(std::move(grammar)) {}
  std::size_t mask(std::span<std::uint32_t> bits) override { return matcher_.mask(bits); }
  bool accept(std::int32_t token) override { return matcher_.accept(token); }
  bool may_end() const override { return matcher_.may_end(); }

 private:
  engine::GrammarMatcher matcher_;
};

class GrammarSource final : public ConstraintSource {
 public:
  explicit GrammarSource(std::shared_ptr<const engine::TokenGrammar> grammar) : grammar_(std::move(grammar)) {}
  std::unique_ptr<TokenConstraint> start() const override { return std::make_unique<GrammarConstraint>(grammar_); }

 private:
  std::shared_ptr<const engine::TokenGrammar> grammar_;
};

}  // namespace

ConstraintCompiler::ConstraintCompiler(const engine::Tokenizer& tokenizer, int vocab_size)
    : tokenizer_(tokenizer), vocab_size_(vocab_size) {}

std::shared_ptr<const engine::TokenTrie> ConstraintCompiler::vocabulary() {
  const std::lock_guard lock(mutex_);
  if (vocabulary_ == nullptr) vocabulary_ = std::make_shared<engine::TokenTrie>(tokenizer_, vocab_size_);
  return vocabulary_;
}

std::shared_ptr<const engine::TokenGrammar> ConstraintCompiler::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->grammar;
}

void ConstraintCompiler::keep(const std::string& key, std::shared_ptr<const engine::TokenGrammar> grammar) {
  const std::lock_guard lock(mutex_);
  if (by_key_.count(key) != 0) return;  // another request was faster
  entries_.push_front({key, std::move(grammar)});
  by_key_[key] = entries_.begin();
  // They grow while they are used, so all are counted anew.
  std::size_t bytes = 0, kept = 0;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    bytes += entry->key.size() + entry->grammar->memory_bytes();
    if (kept++ > 0 && (kept > kMaxEntries || bytes > kMaxBytes)) {
      by_key_.erase(entry->key);
      entry = entries_.erase(entry);
    } else {
      ++entry;
    }
  }
}

Result<Constraint> ConstraintCompiler::compile(const std::string& key, const std::function<Result<engine::Grammar>()>& make) {
  std::shared_ptr<const engine::TokenGrammar> grammar = find(key);
  if (grammar == nullptr) {
    COLONNADE_ASSIGN(const engine::Grammar made, make());
    COLONNADE_ASSIGN(grammar, engine::TokenGrammar::compile(made, vocabulary()));
    grammar->warm_up(kWarmUpSeconds);
    keep(key, grammar);
  }
  return Constraint(std::make_shared<GrammarSource>(std::move(grammar)));
}

Result<Constraint> ConstraintCompiler::gbnf(std::string_view grammar) {
  return compile("gbnf:" + std::string(grammar), [&] { return engine::parse_gbnf(grammar); });
}

Result<Constraint> ConstraintCompiler::json_object() {
  return compile("json_object", []() -> Result<engine::Grammar> {
    engine::GrammarBuilder builder;
    const engine::GrammarExpr root = engine::add_json_object(builder);
    return builder.finish(root);
  });
}

Result<Constraint> ConstraintCompiler::json_schema(const OrderedJson& schema) {
  const std::string written = schema.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  return compile("json_schema:" + written, [&] { return engine::json_schema_grammar(schema); });
}

}  // namespace colonnade::coordinator
