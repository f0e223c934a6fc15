// Grammars and JSON schemas of requests, compiled for the model's vocabulary. What was compiled is kept for the next
// request that asks for the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "coordinator/token_constraint.h"
#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/token_grammar.h"

namespace colonnade::engine {
class Tokenizer;
}

namespace colonnade::coordinator {

using Constraint = std::shared_ptr<const ConstraintSource>;

/// Thread-safe. The tokenizer outlives it.
class ConstraintCompiler {
 public:
  /// `vocab_size` is the model's, which may differ from the tokenizer's.
  ConstraintCompiler(const engine::Tokenizer& tokenizer, int vocab_size);

  /// Texts of the grammar's rule `root`.
  Result<Constraint> gbnf(std::string_view grammar);
  /// Any JSON object.
  Result<Constraint> json_object();
  Result<Constraint> json_schema(const OrderedJson& schema);
  /// What `make` makes, which is called unless `key` was compiled before. Keys begin with what kind they are of.
  Result<Constraint> compile(const std::string& key, const std::function<Result<engine::Grammar>()>& make);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const engine::TokenGrammar> grammar;
  };
  std::shared_ptr<const engine::TokenTrie> vocabulary();
  std::shared_ptr<const engine::TokenGrammar> find(const std::string& key);
  void keep(const std::string& key, std::shared_ptr<const engine::TokenGrammar> grammar);

  const engine::Tokenizer& tokenizer_;
  const int vocab_size_;
  std::mutex mutex_;
  std::shared_ptr<const engine::TokenTrie> vocabulary_;  // made when it is needed first
  std::list<Entry> entries_;                             // the one that was used last comes first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace colonnade::coordinator
