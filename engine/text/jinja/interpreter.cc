#include "engine/text/jinja/interpreter.h"

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/loop.h"
#include "engine/text/jinja/macro.h"
#include "engine/text/jinja/print.h"

namespace colonnade::engine::jinja {

MarkedText Interpreter::run() {
  TextBuilder out(context_);
  const auto scope = std::make_shared<Scope>(nullptr);
  // Macros hold the scope that holds them.
  context_.clear_at_end([scope] { scope->clear(); });
  run_body(tree_.body, scope, out);
  return out.take();
}

Interpreter::ScopePointer Interpreter::scope_in(const ScopePointer& parent) {
  context_.budget.step();
  return std::make_shared<Scope>(parent);
}

Interpreter::Flow Interpreter::run_body(const Body& body, const ScopePointer& scope, TextBuilder& out) {
  for (const auto& statement : body) {
    const Flow flow = run_statement(*statement, scope, out);
    if (flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

Interpreter::Flow Interpreter::run_statement(const Statement& statement, const ScopePointer& scope, TextBuilder& out) {
  const Level level(context_.budget);
  context_.budget.step();
  context_.line = statement.line;
  switch (statement.type) {
    case StatementType::kText: out.append(static_cast<const TextStatement&>(statement).text); break;
    case StatementType::kPrint: run_print(static_cast<const PrintStatement&>(statement), scope, out); break;
    case StatementType::kIf: return run_if(static_cast<const IfStatement&>(statement), scope, out);
    case StatementType::kFor: {
      const auto& loop = static_cast<const ForStatement&>(statement);
      run_for(loop, scope, evaluate(*loop.iterable, scope), 0, out);
      break;
    }
    case StatementType::kSet: run_set(static_cast<const SetStatement&>(statement), scope); break;
    case StatementType::kSetBlock: run_set_block(static_cast<const SetBlockStatement&>(statement), scope); break;
    case StatementType::kMacro: run_macro(static_cast<const MacroStatement&>(statement), scope); break;
    case StatementType::kCallBlock: run_call_block(static_cast<const CallBlockStatement&>(statement), scope, out); break;
    case StatementType::kFilterBlock: run_filter_block(static_cast<const FilterBlockStatement&>(statement), scope, out); break;
    case StatementType::kWith: run_with(static_cast<const WithStatement&>(statement), scope, out); break;
    case StatementType::kScope: run_body(static_cast<const ScopeStatement&>(statement).body, scope_in(scope), out); break;
    case StatementType::kBreak: return Flow::kBreak;
    case StatementType::kContinue: return Flow::kContinue;
  }
  return Flow::kOn;
}

void Interpreter::run_print(const PrintStatement& statement, const ScopePointer& scope, TextBuilder& out) {
  append_str(out, context_, evaluate(*statement.expression, scope));
}

Interpreter::Flow Interpreter::run_if(const IfStatement& statement, const ScopePointer& scope, TextBuilder& out) {
  for (const auto& [test, body] : statement.branches)
    if (truth(evaluate(*test, scope))) return run_body(body, scope, out);
  return run_body(statement.otherwise, scope, out);
}

Value Interpreter::filtered_items(const ForStatement& loop, const ScopePointer& scope, const Value& iterable) {
  const auto all = items_of(context_, iterable);
  if (!loop.filter) return Value(all.sequence());
  Values kept;
  for (const Value& item : all->items) {
    const ScopePointer inner = scope_in(scope);
    assign(loop.target, item, *inner);
    if (truth(evaluate(*loop.filter, inner))) kept.push_back(item);
  }
  return context_.list(std::move(kept));
}

void Interpreter::run_for(const ForStatement& loop, const ScopePointer& scope, const Value& iterable, int depth, TextBuilder& out) {
  const Value items = filtered_items(loop, scope, iterable);
  const auto& all = items.as_sequence()->items;
  if (all.empty()) {
    run_body(loop.otherwise, scope_in(scope), out);
    return;
  }
  const auto state = context_.object<Loop>(*this, loop, scope, items, depth);
  // Also when it fails.
  const std::shared_ptr<void> end(nullptr, [&](void*) { state->end(); });
  ScopePointer inner = scope_in(scope);
  bool completed = false;
  for (std::size_t i = 0; i < all.size(); ++i) {
    context_.budget.step();
    state->at = i;
    // A macro of the last round may still hold its variables.
    if (inner.use_count() > 1) inner = scope_in(scope);
    else inner->clear();
    inner->set(tree_.loop, Value(std::shared_ptr<Object>(state)));
    assign(loop.target, all[i], *inner);
    const Flow flow = run_body(loop.body, inner, out);
    if (flow == Flow::kBreak) break;
    completed = completed || flow == Flow::kOn;
  }
  // As in Jinja, where break or continue ended every round before its end.
  if (!completed) run_body(loop.otherwise, scope_in(scope), out);
}

Value Interpreter::run_recursive(const ForStatement& loop, const std::shared_ptr<Scope>& scope, const Value& items, int depth) {
  const Level level(context_.budget);
  TextBuilder out(context_);
  run_for(loop, scope, items, depth, out);
  return out.value();
}

Value Interpreter::captured(const Body& body, const ScopePointer& scope) {
  TextBuilder out(context_);
  run_body(body, scope_in(scope), out);
  return out.value();
}

Value Interpreter::filtered(const Expression& filter, const ScopePointer& scope, const Value& words) {
  const Value* const around = std::exchange(block_text_, &words);
  Value result = evaluate(filter, scope);
  block_text_ = around;
  return result;
}

void Interpreter::run_set(const SetStatement& statement, const ScopePointer& scope) {
  Value value = evaluate(*statement.value, scope);
  context_.line = statement.line;
  assign(statement.target, std::move(value), *scope);
}

void Interpreter::run_set_block(const SetBlockStatement& statement, const ScopePointer& scope) {
  Value words = captured(statement.body, scope);
  if (statement.filter) words = to_string(context_, filtered(*statement.filter, scope, words));
  context_.line = statement.line;
  assign(statement.target, std::move(words), *scope);
}

void Interpreter::run_filter_block(const FilterBlockStatement& statement, const ScopePointer& scope, TextBuilder& out) {
  const Value words = captured(statement.body, scope);
  append_str(out, context_, filtered(*statement.filter, scope, words));
}

void Interpreter::run_with(const WithStatement& statement, const ScopePointer& scope, TextBuilder& out) {
  const ScopePointer inner = scope_in(scope);
  for (const auto& [target, value] : statement.variables) assign(target, evaluate(*value, scope), *inner);
  run_body(statement.body, inner, out);
}

void Interpreter::assign(const Target& target, Value value, Scope& scope) {
  context_.budget.step();
  if (target.is_tuple) {
    const auto all = items_of(context_, value);
    if (all->items.size() != target.parts.size()) {
      fail(text(all->items.size() > target.parts.size() ? "too many" : "not enough", " values to unpack (expected ",
                target.parts.size(), ", found ", all->items.size(), ")"));
    }
    for (std::size_t i = 0; i < target.parts.size(); ++i) assign(target.parts[i], all->items[i], scope);
    return;
  }
  if (target.attribute.empty()) return scope.set(target.name, std::move(value));
  const Value* held = scope.find(target.name);
  if (held == nullptr || !held->is(Kind::kObject)) fail("cannot assign attribute on non-namespace object");
  held->as_object()->set_attribute(context_, target.attribute, std::move(value));
}

Value Interpreter::make_macro(const MacroDefinition& macro, const ScopePointer& scope) {
  auto made = context_.object<Macro>(*this, macro, scope);
  context_.clear_at_end(made);
  return Value(std::shared_ptr<Object>(std::move(made)));
}

void Interpreter::run_macro(const MacroStatement& statement, const ScopePointer& scope) {
  scope->set(statement.name, make_macro(statement.macro, scope));
}

void Interpreter::run_call_block(const CallBlockStatement& statement, const ScopePointer& scope, TextBuilder& out) {
  const Value caller = make_macro(statement.caller, scope);
  append_str(out, context_, call(*statement.call, scope, &caller));
}

Value Interpreter::call_macro(const MacroDefinition& macro, const ScopePointer& scope, Arguments& all) {
  const Level level(context_.budget);
  const std::string shown = macro.name.empty() ? "caller" : macro.name;
  const ScopePointer inner = scope_in(scope);
  const auto take = [&](const std::string& name) -> std::optional<Value> {
    for (auto one = all.named.begin(); one != all.named.end(); ++one) {
      if (one->first != name) continue;
      Value value = std::move(one->second);
      all.named.erase(one);
      return value;
    }
    return std::nullopt;
  };
  std::vector<const MacroDefinition::Parameter*> missing;
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const auto& parameter = macro.parameters[i];
    if (i < all.positional.size()) inner->set(parameter.name, all.positional[i]);
    else if (auto value = take(parameter.spelling)) inner->set(parameter.name, *std::move(value));
    else missing.push_back(&parameter);
  }
  if (macro.uses_caller) inner->set(tree_.caller, take("caller").value_or(Value::undefined("No caller defined")));
  if (macro.uses_kwargs) {
    std::vector<Dict::Entry> entries;
    for (auto& [name, value] : all.named) entries.emplace_back(context_.string(name), std::move(value));
    inner->set(tree_.kwargs, context_.dict(std::move(entries)));
  } else if (!all.named.empty()) {
    fail(text("macro '", shown, "' takes no keyword argument '", all.named.front().first, "'"));
  }
  const std::size_t n = macro.parameters.size();
  if (macro.uses_varargs) {
    Values rest;
    for (std::size_t i = n; i < all.positional.size(); ++i) rest.push_back(all.positional[i]);
    inner->set(tree_.varargs, context_.tuple(std::move(rest)));
  } else if (all.positional.size() > n) {
    fail(text("macro '", shown, "' takes not more than ", n, " argument(s)"));
  }
  // A default may name the parameters before it.
  for (const auto* parameter : missing) {
    inner->set(parameter->name, parameter->default_value
                                    ? evaluate(*parameter->default_value, inner)
                                    : Value::undefined(text("parameter '", parameter->spelling, "' was not provided")));
  }
  TextBuilder out(context_);
  run_body(macro.body, inner, out);
  return out.value();
}

}  // namespace colonnade::engine::jinja
