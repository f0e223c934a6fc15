#include "engine/text/jinja/expression_parser.h"

#include <algorithm>

#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/tests.h"

namespace colonnade::engine::jinja {
namespace {

int height(const ExpressionPointer& node) { return node ? node->height : 0; }

Value constant_text(std::string words) {
  return Value(std::make_shared<const String>(String{MarkedText(std::move(words)), false, Charge()}));
}

}  // namespace

/// Trees are as deep as their evaluation and their destruction recurse: long chains of operators count as well.
template <typename Node>
ExpressionPointer ExpressionParser::built(std::unique_ptr<Node> node, std::initializer_list<int> heights) {
  node->height = std::max(heights) + 1;
  if (node->height > kMaxSourceDepth) {
    throw TemplateError{ErrorCode::kExhausted, text("nested deeper than the limit of ", kMaxSourceDepth, " levels"), node->line};
  }
  return node;
}

ExpressionPointer ExpressionParser::binary(ExpressionType type, Operation operation, ExpressionPointer left,
                                           ExpressionPointer right, int line) {
  auto node = std::make_unique<Binary>(type, line);
  node->operation = operation;
  const int left_height = left->height, right_height = right->height;
  node->left = std::move(left);
  node->right = std::move(right);
  return built(std::move(node), {left_height, right_height});
}

ExpressionPointer ExpressionParser::expression(bool with_conditional) {
  const SourceLevel level(stream_);
  return with_conditional ? conditional() : either();
}

ExpressionPointer ExpressionParser::conditional() {
  int line = stream_.line();
  ExpressionPointer yes = either();
  while (stream_.skip_name("if")) {
    auto node = std::make_unique<Conditional>(line);
    node->test = either();
    if (stream_.skip_name("else")) {
      const SourceLevel level(stream_);
      node->no = conditional();
    }
    node->yes = std::move(yes);
    const int heights[] = {height(node->test), height(node->no), height(node->yes)};
    yes = built(std::move(node), {heights[0], heights[1], heights[2]});
    line = stream_.line();
  }
  return yes;
}

ExpressionPointer ExpressionParser::either() {
  const int line = stream_.line();
  ExpressionPointer left = both();
  while (stream_.skip_name("or")) left = binary(ExpressionType::kOr, {}, std::move(left), both(), line);
  return left;
}

ExpressionPointer ExpressionParser::both() {
  const int line = stream_.line();
  ExpressionPointer left = negation();
  while (stream_.skip_name("and")) left = binary(ExpressionType::kAnd, {}, std::move(left), negation(), line);
  return left;
}

ExpressionPointer ExpressionParser::negation() {
  if (!stream_.now().is_name("not")) return comparison();
  const SourceLevel level(stream_);
  auto node = std::make_unique<Unary>(ExpressionType::kNot, stream_.next().line);
  node->operand = negation();
  const int below = node->operand->height;
  return built(std::move(node), {below});
}

ExpressionPointer ExpressionParser::comparison() {
  static constexpr std::pair<const char*, Comparison> kComparisons[] = {
      {"==", Comparison::kEqual}, {"!=", Comparison::kNotEqual}, {"<", Comparison::kLess},
      {"<=", Comparison::kLessEqual}, {">", Comparison::kGreater}, {">=", Comparison::kGreaterEqual}};
  auto node = std::make_unique<Compare>(stream_.line());
  node->first = sum();
  int highest = node->first->height;
  for (;;) {
    const auto found = std::find_if(std::begin(kComparisons), std::end(kComparisons),
                                    [&](const auto& one) { return stream_.now().is_operator(one.first); });
    Comparison comparison = Comparison::kIn;
    if (found != std::end(kComparisons)) {
      stream_.next();
      comparison = found->second;
    } else if (stream_.now().is_name("not") && stream_.then().is_name("in")) {
      stream_.next();
      stream_.next();
      comparison = Comparison::kNotIn;
    } else if (!stream_.skip_name("in")) {
      break;
    }
    node->rest.emplace_back(comparison, sum());
    highest = std::max(highest, node->rest.back().second->height);
  }
  if (node->rest.empty()) return std::move(node->first);
  return built(std::move(node), {highest});
}

ExpressionPointer ExpressionParser::sum() {
  const int line = stream_.line();
  ExpressionPointer left = concatenation();
  while (stream_.now().is_operator("+") || stream_.now().is_operator("-")) {
    const Operation operation = stream_.next().text == "+" ? Operation::kAdd : Operation::kSubtract;
    left = binary(ExpressionType::kBinary, operation, std::move(left), concatenation(), line);
  }
  return left;
}

ExpressionPointer ExpressionParser::concatenation() {
  auto node = std::make_unique<ExpressionList>(ExpressionType::kConcat, stream_.line());
  int highest = 0;
  do {
    node->items.push_back(product());
    highest = std::max(highest, node->items.back()->height);
  } while (stream_.skip_operator("~"));
  if (node->items.size() == 1) return std::move(node->items.front());
  return built(std::move(node), {highest});
}

ExpressionPointer ExpressionParser::product() {
  static constexpr std::pair<const char*, Operation> kProducts[] = {{"*", Operation::kMultiply},
                                                                    {"/", Operation::kDivide},
                                                                    {"//", Operation::kFloorDivide},
                                                                    {"%", Operation::kModulo}};
  const int line = stream_.line();
  ExpressionPointer left = power();
  for (;;) {
    const auto found = std::find_if(std::begin(kProducts), std::end(kProducts),
                                    [&](const auto& one) { return stream_.now().is_operator(one.first); });
    if (found == std::end(kProducts)) return left;
    stream_.next();
    left = binary(ExpressionType::kBinary, found->second, std::move(left), power(), line);
  }
}

ExpressionPointer ExpressionParser::power() {
  const int line = stream_.line();
  ExpressionPointer left = unary(true);
  while (stream_.skip_operator("**"))
    left = binary(ExpressionType::kBinary, Operation::kPower, std::move(left), unary(true), line);
  return left;
}

ExpressionPointer ExpressionParser::unary(bool with_filters) {
  const SourceLevel level(stream_);
  ExpressionPointer node;
  if (stream_.now().is_operator("-") || stream_.now().is_operator("+")) {
    auto sign = std::make_unique<Unary>(ExpressionType::kUnary, stream_.line());
    sign->operation = stream_.next().text == "-" ? Operation::kMinus : Operation::kPlus;
    sign->operand = unary(false);
    const int below = sign->operand->height;
    node = built(std::move(sign), {below});
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filters ? filter_suffix(std::move(node)) : std::move(node);
}

ExpressionPointer ExpressionParser::primary() {
  const Token& token = stream_.now();
  switch (token.type) {
    case TokenType::kName: return name_or_constant();
    case TokenType::kString: {
      std::string words;
      while (stream_.now().type == TokenType::kString) words += stream_.next().text;
      return std::make_unique<Constant>(constant_text(std::move(words)), token.line);
    }
    case TokenType::kInteger: return std::make_unique<Constant>(Value::integer(stream_.next().integer), token.line);
    case TokenType::kFloat: return std::make_unique<Constant>(Value::real(stream_.next().real), token.line);
    default: break;
  }
  if (stream_.skip_operator("(")) {
    ExpressionPointer node = tuple(true, {}, true);
    stream_.expect_operator(")");
    return node;
  }
  if (token.is_operator("[")) return list();
  if (token.is_operator("{")) return dict();
  stream_.fail_here(text("unexpected ", describe(token)));
}

ExpressionPointer ExpressionParser::name_or_constant() {
  const Token& token = stream_.next();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return std::make_unique<Constant>(Value::boolean(true), token.line);
  if (name == "false" || name == "False") return std::make_unique<Constant>(Value::boolean(false), token.line);
  if (name == "none" || name == "None") return std::make_unique<Constant>(Value(), token.line);
  stream_.reads_caller = stream_.reads_caller || name == "caller";
  stream_.reads_varargs = stream_.reads_varargs || name == "varargs";
  stream_.reads_kwargs = stream_.reads_kwargs || name == "kwargs";
  return std::make_unique<Name>(stream_.name_id(name), name, token.line);
}

ExpressionPointer ExpressionParser::list() {
  auto node = std::make_unique<ExpressionList>(ExpressionType::kList, stream_.next().line);
  int highest = 0;
  while (!stream_.now().is_operator("]")) {
    if (!node->items.empty()) stream_.expect_operator(",");
    if (stream_.now().is_operator("]")) break;
    node->items.push_back(expression());
    highest = std::max(highest, node->items.back()->height);
  }
  stream_.expect_operator("]");
  return built(std::move(node), {highest});
}

ExpressionPointer ExpressionParser::dict() {
  auto node = std::make_unique<DictLiteral>(stream_.next().line);
  int highest = 0;
  while (!stream_.now().is_operator("}")) {
    if (!node->entries.empty()) stream_.expect_operator(",");
    if (stream_.now().is_operator("}")) break;
    ExpressionPointer key = expression();
    stream_.expect_operator(":");
    ExpressionPointer value = expression();
    highest = std::max({highest, key->height, value->height});
    node->entries.emplace_back(std::move(key), std::move(value));
  }
  stream_.expect_operator("}");
  return built(std::move(node), {highest});
}

bool ExpressionParser::ends_tuple(std::initializer_list<const char*> ends) const {
  const Token& token = stream_.now();
  if (token.type == TokenType::kVariableEnd || token.type == TokenType::kBlockEnd || token.is_operator(")")) return true;
  return std::any_of(ends.begin(), ends.end(), [&](const char* end) { return token.is_name(end); });
}

ExpressionPointer ExpressionParser::tuple(bool with_conditional, std::initializer_list<const char*> ends, bool in_brackets) {
  auto node = std::make_unique<ExpressionList>(ExpressionType::kTuple, stream_.line());
  bool is_tuple = false;
  int highest = 0;
  for (;;) {
    if (!node->items.empty()) stream_.expect_operator(",");
    if (ends_tuple(ends)) break;
    node->items.push_back(expression(with_conditional));
    highest = std::max(highest, node->items.back()->height);
    if (!stream_.now().is_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!node->items.empty()) return std::move(node->items.front());
    if (!in_brackets) stream_.fail_here(text("expected an expression, found ", describe(stream_.now())));
  }
  return built(std::move(node), {highest});
}

Target ExpressionParser::plain_target() {
  Target one;
  if (stream_.skip_operator("(")) {
    one = target({}, false);
    stream_.expect_operator(")");
    return one;
  }
  const Token& token = stream_.expect(TokenType::kName, "a name to assign to");
  static constexpr const char* kConstants[] = {"true", "false", "none", "True", "False", "None"};
  if (std::any_of(std::begin(kConstants), std::end(kConstants), [&](const char* name) { return token.text == name; }))
    TokenStream::fail_at(token.line, text("can't assign to '", token.text, "'"));
  one.spelling = token.text;
  one.name = stream_.name_id(token.text);
  return one;
}

Target ExpressionParser::target(std::initializer_list<const char*> ends, bool with_namespace) {
  const SourceLevel level(stream_);
  if (with_namespace && stream_.then().is_operator(".")) {
    Target one = plain_target();
    stream_.next();
    one.attribute = stream_.expect_name();
    return one;
  }
  Target all;
  for (;;) {
    if (!all.parts.empty()) stream_.expect_operator(",");
    if (ends_tuple(ends)) break;
    all.parts.push_back(plain_target());
    if (!stream_.now().is_operator(",")) break;
    all.is_tuple = true;
  }
  if (all.is_tuple) return all;
  if (all.parts.empty()) stream_.fail_here(text("expected a name to assign to, found ", describe(stream_.now())));
  Target one = std::move(all.parts.front());
  return one;
}

}  // namespace colonnade::engine::jinja
