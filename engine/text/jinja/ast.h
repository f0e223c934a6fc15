// A template as a tree. Immutable after parsing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/text/jinja/value.h"

namespace colonnade::engine::jinja {

struct Filter;
struct Test;

/// Names are numbered, so that scopes compare numbers.
using NameId = int;

enum class ExpressionType {
  kConstant, kName, kList, kTuple, kDict, kAttribute, kItem, kSlice, kCall, kFilter, kTest,
  kUnary, kBinary, kConcat, kAnd, kOr, kNot, kCompare, kConditional,
};

struct Expression {
  Expression(ExpressionType type_given, int line_given) : type(type_given), line(line_given) {}
  virtual ~Expression() = default;

  ExpressionType type;
  int line;
  int height = 1;  // of the tree below
};
using ExpressionPointer = std::unique_ptr<Expression>;

struct Constant : Expression {
  Constant(Value v, int at) : Expression(ExpressionType::kConstant, at), value(std::move(v)) {}
  Value value;
};

struct Name : Expression {
  Name(NameId name, std::string text, int at) : Expression(ExpressionType::kName, at), id(name), spelling(std::move(text)) {}
  NameId id;
  std::string spelling;
};

/// A list, a tuple, or the parts of `a ~ b ~ c`.
struct ExpressionList : Expression {
  using Expression::Expression;
  std::vector<ExpressionPointer> items;
};

struct DictLiteral : Expression {
  explicit DictLiteral(int at) : Expression(ExpressionType::kDict, at) {}
  std::vector<std::pair<ExpressionPointer, ExpressionPointer>> entries;
};

struct Attribute : Expression {  // object.name
  explicit Attribute(int at) : Expression(ExpressionType::kAttribute, at) {}
  ExpressionPointer object;
  Value name;
};

struct Item : Expression {  // object[key]
  explicit Item(int at) : Expression(ExpressionType::kItem, at) {}
  ExpressionPointer object;
  ExpressionPointer key;  // a Slice, or any other
};

struct Slice : Expression {  // start:stop:step, each may be absent
  explicit Slice(int at) : Expression(ExpressionType::kSlice, at) {}
  ExpressionPointer start, stop, step;
};

struct CallArguments {
  std::vector<ExpressionPointer> positional;
  std::vector<std::pair<std::string, ExpressionPointer>> named;
  ExpressionPointer more_positional;  // *args
  ExpressionPointer more_named;       // **kwargs
};

struct Call : Expression {
  explicit Call(int at) : Expression(ExpressionType::kCall, at) {}
  ExpressionPointer callee;
  CallArguments arguments;
};

struct FilterCall : Expression {
  explicit FilterCall(int at) : Expression(ExpressionType::kFilter, at) {}
  ExpressionPointer subject;  // none: the text of the block
  std::string name;
  const Filter* filter = nullptr;  // none: there is no such filter
  CallArguments arguments;
};

struct TestCall : Expression {
  explicit TestCall(int at) : Expression(ExpressionType::kTest, at) {}
  ExpressionPointer subject;
  std::string name;
  const Test* test = nullptr;
  CallArguments arguments;
};

enum class Operation { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower, kPlus, kMinus };

struct Unary : Expression {  // also kNot, where `operation` is not used
  using Expression::Expression;
  Operation operation = Operation::kPlus;
  ExpressionPointer operand;
};

struct Binary : Expression {  // also kAnd and kOr
  using Expression::Expression;
  Operation operation = Operation::kAdd;
  ExpressionPointer left, right;
};

enum class Comparison { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

struct Compare : Expression {
  explicit Compare(int at) : Expression(ExpressionType::kCompare, at) {}
  ExpressionPointer first;
  std::vector<std::pair<Comparison, ExpressionPointer>> rest;
};

struct Conditional : Expression {
  explicit Conditional(int at) : Expression(ExpressionType::kConditional, at) {}
  ExpressionPointer test, yes, no;  // no: may be absent
};

enum class StatementType {
  kText, kPrint, kIf, kFor, kSet, kSetBlock, kMacro, kCallBlock, kFilterBlock, kWith, kScope, kBreak, kContinue,
};

struct Statement {
  Statement(StatementType type_given, int line_given) : type(type_given), line(line_given) {}
  virtual ~Statement() = default;

  StatementType type;
  int line;
};
using Body = std::vector<std::unique_ptr<Statement>>;

struct TextStatement : Statement {
  TextStatement(std::string words, int at) : Statement(StatementType::kText, at), text(std::move(words)) {}
  MarkedText text;
};

struct PrintStatement : Statement {
  explicit PrintStatement(int at) : Statement(StatementType::kPrint, at) {}
  ExpressionPointer expression;
};

struct IfStatement : Statement {
  explicit IfStatement(int at) : Statement(StatementType::kIf, at) {}
  std::vector<std::pair<ExpressionPointer, Body>> branches;
  Body otherwise;
};

/// What is assigned to: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  NameId name = -1;
  std::string spelling;
  std::string attribute;  // "": the name itself
  std::vector<Target> parts;
  bool is_tuple = false;
};

struct ForStatement : Statement {
  explicit ForStatement(int at) : Statement(StatementType::kFor, at) {}
  Target target;
  ExpressionPointer iterable;
  ExpressionPointer filter;  // may be absent
  bool recursive = false;
  Body body;
  Body otherwise;
};

struct SetStatement : Statement {
  explicit SetStatement(int at) : Statement(StatementType::kSet, at) {}
  Target target;
  ExpressionPointer value;
};

struct SetBlockStatement : Statement {
  explicit SetBlockStatement(int at) : Statement(StatementType::kSetBlock, at) {}
  Target target;
  ExpressionPointer filter;  // a chain of FilterCalls without a subject, or absent
  Body body;
};

struct MacroDefinition {
  struct Parameter {
    NameId name;
    std::string spelling;
    ExpressionPointer default_value;  // may be absent
  };
  std::string name;  // "": of a call block
  std::vector<Parameter> parameters;
  bool uses_caller = false;  // of the names caller, varargs and kwargs, those that its body reads
  bool uses_varargs = false;
  bool uses_kwargs = false;
  Body body;
};

struct MacroStatement : Statement {
  explicit MacroStatement(int at) : Statement(StatementType::kMacro, at) {}
  NameId name = -1;
  MacroDefinition macro;
};

struct CallBlockStatement : Statement {
  explicit CallBlockStatement(int at) : Statement(StatementType::kCallBlock, at) {}
  std::unique_ptr<Call> call;
  MacroDefinition caller;
};

struct FilterBlockStatement : Statement {
  explicit FilterBlockStatement(int at) : Statement(StatementType::kFilterBlock, at) {}
  ExpressionPointer filter;
  Body body;
};

struct WithStatement : Statement {
  explicit WithStatement(int at) : Statement(StatementType::kWith, at) {}
  std::vector<std::pair<Target, ExpressionPointer>> variables;
  Body body;
};

/// {% generation %} and {% block %}: what is set inside stays inside.
struct ScopeStatement : Statement {
  explicit ScopeStatement(int at) : Statement(StatementType::kScope, at) {}
  Body body;
};

struct Tree {
  Body body;
  std::vector<std::string> names;  // by NameId
  // Names with a meaning of their own.
  NameId loop = -1, caller = -1, varargs = -1, kwargs = -1;
};

}  // namespace colonnade::engine::jinja
