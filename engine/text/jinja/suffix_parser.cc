// The part of ExpressionParser for what follows a value: attributes, items, calls, filters, tests.
#include <algorithm>

#include "engine/text/jinja/expression_parser.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/tests.h"

namespace colonnade::engine::jinja {
namespace {

template <typename Node>
ExpressionPointer checked(std::unique_ptr<Node> node, int below) {
  node->height = below + 1;
  if (node->height > kMaxSourceDepth) {
    throw TemplateError{ErrorCode::kExhausted, text("nested deeper than the limit of ", kMaxSourceDepth, " levels"), node->line};
  }
  return node;
}

int height(const ExpressionPointer& node) { return node ? node->height : 0; }

}  // namespace

ExpressionPointer ExpressionParser::postfix(ExpressionPointer subject) {
  for (;;) {
    if (stream_.now().is_operator(".") || stream_.now().is_operator("[")) subject = subscript(std::move(subject));
    else if (stream_.now().is_operator("(")) subject = call(std::move(subject));
    else return subject;
  }
}

ExpressionPointer ExpressionParser::filter_suffix(ExpressionPointer subject) {
  for (;;) {
    if (stream_.now().is_operator("|")) subject = filters(std::move(subject), false);
    else if (stream_.now().is_name("is")) subject = test(std::move(subject));
    else if (stream_.now().is_operator("(")) subject = call(std::move(subject));
    else return subject;
  }
}

ExpressionPointer ExpressionParser::subscript(ExpressionPointer object) {
  const Token& token = stream_.next();
  const int below = object->height;
  if (token.is_operator(".") && stream_.now().type == TokenType::kName) {
    auto node = std::make_unique<Attribute>(token.line);
    node->object = std::move(object);
    node->name = Value(std::make_shared<const String>(String{MarkedText(stream_.next().text), false, Charge()}));
    return checked(std::move(node), below);
  }
  auto node = std::make_unique<Item>(token.line);
  node->object = std::move(object);
  if (token.is_operator(".")) {
    const Token& number = stream_.expect(TokenType::kInteger, "a name or number after '.'");
    node->key = std::make_unique<Constant>(Value::integer(number.integer), number.line);
    return checked(std::move(node), below);
  }
  auto keys = std::make_unique<ExpressionList>(ExpressionType::kTuple, token.line);
  int highest = 0;
  while (!stream_.now().is_operator("]")) {
    if (!keys->items.empty()) stream_.expect_operator(",");
    keys->items.push_back(slice_or_index());
    highest = std::max(highest, keys->items.back()->height);
  }
  stream_.expect_operator("]");
  node->key = keys->items.size() == 1 ? std::move(keys->items.front()) : checked(std::move(keys), highest);
  highest = std::max(node->key->height, below);
  return checked(std::move(node), highest);
}

ExpressionPointer ExpressionParser::slice_or_index() {
  const int line = stream_.line();
  ExpressionPointer start;
  if (!stream_.now().is_operator(":")) {
    start = expression();
    if (!stream_.now().is_operator(":")) return start;
  }
  stream_.next();
  auto slice = std::make_unique<Slice>(line);
  slice->start = std::move(start);
  const auto at_end = [&] { return stream_.now().is_operator("]") || stream_.now().is_operator(","); };
  if (!stream_.now().is_operator(":") && !at_end()) slice->stop = expression();
  if (stream_.skip_operator(":") && !at_end()) slice->step = expression();
  const int highest = std::max({height(slice->start), height(slice->stop), height(slice->step)});
  return checked(std::move(slice), highest);
}

CallArguments ExpressionParser::arguments() {
  const SourceLevel level(stream_);
  CallArguments all;
  const int line = stream_.line();
  stream_.expect_operator("(");
  const auto in_order = [&](bool ok) {
    if (!ok) TokenStream::fail_at(line, "invalid syntax for function call expression");
  };
  for (bool first = true; !stream_.now().is_operator(")"); first = false) {
    if (!first) {
      stream_.expect_operator(",");
      if (stream_.now().is_operator(")")) break;
    }
    if (stream_.skip_operator("*")) {
      in_order(!all.more_positional && !all.more_named);
      all.more_positional = expression();
    } else if (stream_.skip_operator("**")) {
      in_order(!all.more_named);
      all.more_named = expression();
    } else if (stream_.now().type == TokenType::kName && stream_.then().is_operator("=")) {
      in_order(!all.more_named);
      std::string name = stream_.next().text;
      stream_.next();
      const auto same = [&](const auto& one) { return one.first == name; };
      if (std::any_of(all.named.begin(), all.named.end(), same)) TokenStream::fail_at(line, text("keyword argument repeated: ", name));
      all.named.emplace_back(std::move(name), expression());
    } else {
      in_order(!all.more_positional && !all.more_named && all.named.empty());
      all.positional.push_back(expression());
    }
  }
  stream_.expect_operator(")");
  return all;
}

int ExpressionParser::height_of(const CallArguments& arguments) const {
  int highest = std::max(height(arguments.more_positional), height(arguments.more_named));
  for (const auto& one : arguments.positional) highest = std::max(highest, one->height);
  for (const auto& one : arguments.named) highest = std::max(highest, one.second->height);
  return highest;
}

ExpressionPointer ExpressionParser::call(ExpressionPointer callee) {
  auto node = std::make_unique<Call>(stream_.line());
  node->arguments = arguments();
  node->callee = std::move(callee);
  const int highest = std::max(node->callee->height, height_of(node->arguments));
  return checked(std::move(node), highest);
}

std::string ExpressionParser::dotted_name() {
  std::string name = stream_.expect_name();
  while (stream_.skip_operator(".")) name += "." + stream_.expect_name();
  return name;
}

ExpressionPointer ExpressionParser::filters(ExpressionPointer subject, bool bare) {
  while (bare || stream_.skip_operator("|")) {
    bare = false;
    auto node = std::make_unique<FilterCall>(stream_.line());
    node->name = dotted_name();
    node->filter = find_filter(node->name);
    if (stream_.now().is_operator("(")) node->arguments = arguments();
    const int highest = std::max(height(subject), height_of(node->arguments));
    node->subject = std::move(subject);
    subject = checked(std::move(node), highest);
  }
  return subject;
}

ExpressionPointer ExpressionParser::test(ExpressionPointer subject) {
  auto node = std::make_unique<TestCall>(stream_.next().line);
  const bool negated = stream_.skip_name("not");
  node->name = dotted_name();
  node->test = find_test(node->name);
  const Token& token = stream_.now();
  const bool is_value = token.type == TokenType::kName || token.type == TokenType::kString || token.type == TokenType::kInteger ||
                        token.type == TokenType::kFloat || token.is_operator("[") || token.is_operator("{");
  if (token.is_operator("(")) {
    node->arguments = arguments();
  } else if (is_value && !token.is_name("else") && !token.is_name("or") && !token.is_name("and")) {
    if (token.is_name("is")) stream_.fail_here("You cannot chain multiple tests with is");
    const SourceLevel level(stream_);
    node->arguments.positional.push_back(postfix(primary()));
  }
  const int line = node->line;
  const int highest = std::max(subject->height, height_of(node->arguments));
  node->subject = std::move(subject);
  ExpressionPointer tested = checked(std::move(node), highest);
  if (!negated) return tested;
  auto negation = std::make_unique<Unary>(ExpressionType::kNot, line);
  const int below = tested->height;
  negation->operand = std::move(tested);
  return checked(std::move(negation), below);
}

}  // namespace colonnade::engine::jinja
