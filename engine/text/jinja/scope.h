// Where names of a template are looked up: the variables of one block, then those of the blocks around it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/value.h"

namespace colonnade::engine::jinja {

class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> parent) : parent_(std::move(parent)) {}

  /// nullptr when no block has that name.
  const Value* find(NameId name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent_.get())
      for (auto one = scope->variables_.rbegin(); one != scope->variables_.rend(); ++one)
        if (one->first == name) return &one->second;
    return nullptr;
  }
  void set(NameId name, Value value) {
    for (auto& [known, held] : variables_) {
      if (known != name) continue;
      held = std::move(value);
      return;
    }
    variables_.emplace_back(name, std::move(value));
  }
  void clear() { variables_.clear(); }

 private:
  std::shared_ptr<Scope> parent_;
  std::vector<std::pair<NameId, Value>> variables_;
};

}  // namespace colonnade::engine::jinja
