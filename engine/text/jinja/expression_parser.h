// Parses expressions, with Jinja's precedence of operators and filters.
#pragma once

#include <initializer_list>
#include <memory>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/token_stream.h"

namespace colonnade::engine::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  ExpressionPointer expression(bool with_conditional = true);
  /// One expression, or several with commas: a tuple. Also ends before a name in `ends`.
  ExpressionPointer tuple(bool with_conditional = true, std::initializer_list<const char*> ends = {}, bool in_brackets = false);
  /// `name(arguments) | name ...` without a subject; null when there is none. With `bare` the first one has no '|'.
  ExpressionPointer filters(ExpressionPointer subject, bool bare);
  /// What can be assigned to. `ends`: as for tuple.
  Target target(std::initializer_list<const char*> ends, bool with_namespace);

 private:
  ExpressionPointer conditional();
  ExpressionPointer either();
  ExpressionPointer both();
  ExpressionPointer negation();
  ExpressionPointer comparison();
  ExpressionPointer sum();
  ExpressionPointer concatenation();
  ExpressionPointer product();
  ExpressionPointer power();
  ExpressionPointer unary(bool with_filters);
  ExpressionPointer primary();
  ExpressionPointer name_or_constant();
  ExpressionPointer list();
  ExpressionPointer dict();
  ExpressionPointer postfix(ExpressionPointer subject);
  ExpressionPointer filter_suffix(ExpressionPointer subject);
  ExpressionPointer subscript(ExpressionPointer object);
  ExpressionPointer slice_or_index();
  ExpressionPointer call(ExpressionPointer callee);
  ExpressionPointer test(ExpressionPointer subject);
  std::string dotted_name();
  CallArguments arguments();
  int height_of(const CallArguments& arguments) const;
  ExpressionPointer binary(ExpressionType type, Operation operation, ExpressionPointer left, ExpressionPointer right, int line);
  template <typename Node>
  ExpressionPointer built(std::unique_ptr<Node> node, std::initializer_list<int> heights);
  Target plain_target();
  bool ends_tuple(std::initializer_list<const char*> ends) const;

  TokenStream& stream_;
};

}  // namespace colonnade::engine::jinja
