// Runs a template's tree.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/context.h"
#include "engine/text/jinja/scope.h"

namespace colonnade::engine::jinja {

/// One rendering. Throws TemplateError; context.line() tells where. Outlived by the tree and the context.
class Interpreter {
 public:
  /// `globals`: by NameId, what the names mean that no block sets; may be fewer than there are names.
  Interpreter(const Tree& tree, Context& context, std::vector<std::optional<Value>> globals)
      : tree_(tree), context_(context), globals_(std::move(globals)) {}

  MarkedText run();

  /// A call of a macro, or of a call block's body.
  Value call_macro(const MacroDefinition& macro, const std::shared_ptr<Scope>& scope, Arguments& arguments);
  /// The loop over `items` as text: what a recursive loop's own call gives.
  Value run_recursive(const ForStatement& loop, const std::shared_ptr<Scope>& scope, const Value& items, int depth);

 private:
  enum class Flow { kOn, kBreak, kContinue };
  using ScopePointer = std::shared_ptr<Scope>;

  // Statements.
  Flow run_body(const Body& body, const ScopePointer& scope, TextBuilder& out);
  Flow run_statement(const Statement& statement, const ScopePointer& scope, TextBuilder& out);
  Flow run_if(const IfStatement& statement, const ScopePointer& scope, TextBuilder& out);
  void run_for(const ForStatement& loop, const ScopePointer& scope, const Value& iterable, int depth, TextBuilder& out);
  Value filtered_items(const ForStatement& loop, const ScopePointer& scope, const Value& iterable);
  void run_set_block(const SetBlockStatement& statement, const ScopePointer& scope);
  void run_macro(const MacroStatement& statement, const ScopePointer& scope);
  void run_call_block(const CallBlockStatement& statement, const ScopePointer& scope, TextBuilder& out);
  void run_filter_block(const FilterBlockStatement& statement, const ScopePointer& scope, TextBuilder& out);
  void run_with(const WithStatement& statement, const ScopePointer& scope, TextBuilder& out);
  void run_print(const PrintStatement& statement, const ScopePointer& scope, TextBuilder& out);
  void run_set(const SetStatement& statement, const ScopePointer& scope);
  /// The text of a body in a scope of its own.
  Value captured(const Body& body, const ScopePointer& scope);
  Value filtered(const Expression& filter, const ScopePointer& scope, const Value& text);
  void assign(const Target& target, Value value, Scope& scope);
  ScopePointer scope_in(const ScopePointer& parent);
  Value make_macro(const MacroDefinition& macro, const ScopePointer& scope);

  // Expressions.
  Value evaluate(const Expression& expression, const ScopePointer& scope);
  Value name(const Name& expression, const Scope& scope);
  Values items(const std::vector<ExpressionPointer>& list, const ScopePointer& scope);
  Value dict(const DictLiteral& expression, const ScopePointer& scope);
  Value attribute(const Attribute& expression, const ScopePointer& scope);
  Value item(const Item& expression, const ScopePointer& scope);
  Value call(const Call& expression, const ScopePointer& scope, const Value* caller);
  Value filter(const FilterCall& expression, const ScopePointer& scope);
  Value test(const TestCall& expression, const ScopePointer& scope);
  Value operation(const Expression& expression, const ScopePointer& scope);
  Value concatenation(const ExpressionList& expression, const ScopePointer& scope);
  Value comparison(const Compare& expression, const ScopePointer& scope);
  Value conditional(const Conditional& expression, const ScopePointer& scope);
  Arguments arguments(const CallArguments& expression, const ScopePointer& scope);

  const Tree& tree_;
  Context& context_;
  std::vector<std::optional<Value>> globals_;
  const Value* block_text_ = nullptr;  // what a filter of a block is applied to
};

}  // namespace colonnade::engine::jinja
