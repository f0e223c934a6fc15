// The part of Interpreter for expressions.
#include "engine/base/format_text.h"
#include "engine/text/jinja/access.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/print.h"
#include "engine/text/jinja/tests.h"

namespace colonnade::engine::jinja {

Value Interpreter::evaluate(const Expression& expression, const ScopePointer& scope) {
  const Level level(context_.budget);
  context_.budget.step();
  switch (expression.type) {
    case ExpressionType::kConstant: return static_cast<const Constant&>(expression).value;
    case ExpressionType::kName: return name(static_cast<const Name&>(expression), *scope);
    case ExpressionType::kList: return context_.list(items(static_cast<const ExpressionList&>(expression).items, scope));
    case ExpressionType::kTuple: return context_.tuple(items(static_cast<const ExpressionList&>(expression).items, scope));
    case ExpressionType::kDict: return dict(static_cast<const DictLiteral&>(expression), scope);
    case ExpressionType::kAttribute: return attribute(static_cast<const Attribute&>(expression), scope);
    case ExpressionType::kItem: return item(static_cast<const Item&>(expression), scope);
    case ExpressionType::kSlice: fail("a slice stands alone in its brackets");
    case ExpressionType::kCall: return call(static_cast<const Call&>(expression), scope, nullptr);
    case ExpressionType::kFilter: return filter(static_cast<const FilterCall&>(expression), scope);
    case ExpressionType::kTest: return test(static_cast<const TestCall&>(expression), scope);
    case ExpressionType::kConcat: return concatenation(static_cast<const ExpressionList&>(expression), scope);
    case ExpressionType::kCompare: return comparison(static_cast<const Compare&>(expression), scope);
    case ExpressionType::kConditional: return conditional(static_cast<const Conditional&>(expression), scope);
    case ExpressionType::kUnary:
    case ExpressionType::kBinary:
    case ExpressionType::kAnd:
    case ExpressionType::kOr:
    case ExpressionType::kNot: return operation(expression, scope);
  }
  return Value();
}

Value Interpreter::name(const Name& expression, const Scope& scope) {
  if (const Value* found = scope.find(expression.id)) return *found;
  const auto id = static_cast<std::size_t>(expression.id);
  if (id < globals_.size() && globals_[id]) return *globals_[id];
  return Value::undefined(text("'", expression.spelling, "' is undefined"));
}

Values Interpreter::items(const std::vector<ExpressionPointer>& list, const ScopePointer& scope) {
  Values values;
  values.reserve(list.size());
  for (const ExpressionPointer& one : list) values.push_back(evaluate(*one, scope));
  return values;
}

Value Interpreter::dict(const DictLiteral& expression, const ScopePointer& scope) {
  std::vector<Dict::Entry> entries;
  for (const auto& [key, value] : expression.entries) {
    Value evaluated = evaluate(*key, scope);
    entries.emplace_back(std::move(evaluated), evaluate(*value, scope));
  }
  context_.line = expression.line;
  return context_.dict(std::move(entries));
}

Value Interpreter::attribute(const Attribute& expression, const ScopePointer& scope) {
  const Value object = evaluate(*expression.object, scope);
  context_.line = expression.line;
  return get_attribute(context_, object, expression.name);
}

Value Interpreter::item(const Item& expression, const ScopePointer& scope) {
  const Value object = evaluate(*expression.object, scope);
  if (expression.key->type != ExpressionType::kSlice) {
    const Value key = evaluate(*expression.key, scope);
    context_.line = expression.line;
    return get_item(context_, object, key);
  }
  const auto& slice = static_cast<const Slice&>(*expression.key);
  const auto bound = [&](const ExpressionPointer& one) { return one ? evaluate(*one, scope) : Value(); };
  const Value start = bound(slice.start), stop = bound(slice.stop), step = bound(slice.step);
  context_.line = expression.line;
  return get_slice(context_, object, &start, &stop, &step);
}

Arguments Interpreter::arguments(const CallArguments& expression, const ScopePointer& scope) {
  Arguments all;
  all.positional = items(expression.positional, scope);
  for (const auto& [name, value] : expression.named) all.named.emplace_back(name, evaluate(*value, scope));
  if (expression.more_positional) {
    const auto more = items_of(context_, evaluate(*expression.more_positional, scope));
    all.positional.insert(all.positional.end(), more->items.begin(), more->items.end());
  }
  if (expression.more_named) {
    const Value more = evaluate(*expression.more_named, scope);
    if (!more.is(Kind::kDict)) fail(text("argument after ** must be a mapping, not ", type_name(more)));
    for (const Dict::Entry& entry : more.as_dict().entries) {
      if (!entry.first.is_string()) fail("keywords must be strings");
      for (const auto& one : all.named)
        if (one.first == entry.first.as_text().bytes()) fail(text("got multiple values for keyword argument '", one.first, "'"));
      all.named.emplace_back(entry.first.as_text().bytes(), entry.second);
    }
  }
  return all;
}

Value Interpreter::call(const Call& expression, const ScopePointer& scope, const Value* caller) {
  const Value callee = evaluate(*expression.callee, scope);
  Arguments all = arguments(expression.arguments, scope);
  if (caller != nullptr) all.named.emplace_back("caller", *caller);
  context_.line = expression.line;
  if (callee.is(Kind::kObject)) return callee.as_object()->call(context_, all);
  if (callee.is_undefined()) fail(callee.as_undefined().message);
  fail(text("'", type_name(callee), "' object is not callable"));
}

Value Interpreter::filter(const FilterCall& expression, const ScopePointer& scope) {
  const Value subject = expression.subject ? evaluate(*expression.subject, scope) : *block_text_;
  Arguments all = arguments(expression.arguments, scope);
  context_.line = expression.line;
  if (expression.filter == nullptr) fail(text("No filter named '", expression.name, "'."));
  return apply_filter(context_, *expression.filter, subject, all);
}

Value Interpreter::test(const TestCall& expression, const ScopePointer& scope) {
  const Value subject = evaluate(*expression.subject, scope);
  Arguments all = arguments(expression.arguments, scope);
  context_.line = expression.line;
  if (expression.test == nullptr) fail(text("No test named '", expression.name, "'."));
  return Value::boolean(apply_test(context_, *expression.test, subject, all));
}

Value Interpreter::operation(const Expression& expression, const ScopePointer& scope) {
  if (expression.type == ExpressionType::kUnary || expression.type == ExpressionType::kNot) {
    const auto& unary = static_cast<const Unary&>(expression);
    const Value operand = evaluate(*unary.operand, scope);
    context_.line = expression.line;
    return unary.type == ExpressionType::kNot ? Value::boolean(!truth(operand)) : apply_sign(context_, unary.operation, operand);
  }
  const auto& binary = static_cast<const Binary&>(expression);
  Value left = evaluate(*binary.left, scope);
  if (binary.type == ExpressionType::kAnd) return truth(left) ? evaluate(*binary.right, scope) : left;
  if (binary.type == ExpressionType::kOr) return truth(left) ? left : evaluate(*binary.right, scope);
  const Value right = evaluate(*binary.right, scope);
  context_.line = expression.line;
  return apply_operation(context_, binary.operation, left, right);
}

Value Interpreter::concatenation(const ExpressionList& expression, const ScopePointer& scope) {
  TextBuilder out(context_);
  for (const ExpressionPointer& one : expression.items) append_str(out, context_, evaluate(*one, scope));
  return out.value();
}

Value Interpreter::comparison(const Compare& expression, const ScopePointer& scope) {
  Value left = evaluate(*expression.first, scope);
  for (const auto& [comparison, operand] : expression.rest) {
    Value right = evaluate(*operand, scope);
    context_.line = expression.line;
    if (!compare_values(context_, comparison, left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::conditional(const Conditional& expression, const ScopePointer& scope) {
  if (truth(evaluate(*expression.test, scope))) return evaluate(*expression.yes, scope);
  if (expression.no) return evaluate(*expression.no, scope);
  return Value::undefined(
      text("the inline if-expression on line ", expression.line, " evaluated to false and no else section was defined."));
}

}  // namespace colonnade::engine::jinja
