#include "engine/text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "engine/text/jinja/expression_parser.h"
#include "engine/text/jinja/lexer.h"

namespace colonnade::engine::jinja {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view source) : stream_(tokenize_template(source)), expressions_(stream_) {}

  Tree run() {
    Tree tree;
    tree.loop = stream_.name_id("loop");
    tree.caller = stream_.name_id("caller");
    tree.varargs = stream_.name_id("varargs");
    tree.kwargs = stream_.name_id("kwargs");
    tree.body = body({}, "", 0);
    tree.names = stream_.names();
    return tree;
  }

 private:
  using Ends = std::initializer_list<const char*>;

  static std::string words(Ends ends) {
    std::string list;
    for (const char* end : ends) list += text(list.empty() ? "" : " or ", "'", end, "'");
    return list;
  }

  /// Statements up to a tag in `ends`, whose name is the current token then. `opener` began at `line`.
  Body body(Ends ends, const char* opener, int line) {
    const SourceLevel level(stream_);
    Body all;
    for (;;) {
      const Token& token = stream_.now();
      switch (token.type) {
        case TokenType::kData:
          all.push_back(std::make_unique<TextStatement>(stream_.next().text, token.line));
          break;
        case TokenType::kVariableBegin: {
          auto print = std::make_unique<PrintStatement>(token.line);
          stream_.next();
          print->expression = expressions_.tuple();
          stream_.expect(TokenType::kVariableEnd, "end of print statement");
          all.push_back(std::move(print));
          break;
        }
        case TokenType::kBlockBegin: {
          stream_.next();
          const Token& name = stream_.now();
          if (std::any_of(ends.begin(), ends.end(), [&](const char* end) { return name.is_name(end); })) return all;
          statement(all, ends);
          stream_.expect(TokenType::kBlockEnd, "end of statement block");
          break;
        }
        case TokenType::kEnd:
          if (ends.size() == 0) return all;
          stream_.fail_here(text("unexpected end of template: expected ", words(ends), " for '", opener, "' of line ", line));
        default: stream_.fail_here(text("unexpected ", describe(token)));
      }
    }
  }

  /// The inside of a block tag, from after its head: ends behind the tag in `ends`.
  Body inside(Ends ends, const char* opener, int line) {
    stream_.skip_operator(":");
    stream_.expect(TokenType::kBlockEnd, "end of statement block");
    return body(ends, opener, line);
  }

  void statement(Body& out, Ends ends) {
    const Token& token = stream_.expect(TokenType::kName, "a tag name");
    const std::string& tag = token.text;
    const int line = token.line;
    if (tag == "if") return out.push_back(if_statement(line));
    if (tag == "for") return out.push_back(for_statement(line));
    if (tag == "set") return out.push_back(set_statement(line));
    if (tag == "macro") return out.push_back(macro_statement(line));
    if (tag == "call") return out.push_back(call_block(line));
    if (tag == "filter") return out.push_back(filter_block(line));
    if (tag == "with") return out.push_back(with_statement(line));
    if (tag == "generation") return out.push_back(generation(line));
    if (tag == "block") return out.push_back(block(line));
    if (tag == "print") return print(out, line);
    if (tag == "break" || tag == "continue") {
      if (loop_depth_ == 0) TokenStream::fail_at(line, text("'", tag, "' outside of a loop"));
      out.push_back(std::make_unique<Statement>(tag == "break" ? StatementType::kBreak : StatementType::kContinue, line));
      return;
    }
    if (tag == "include" || tag == "import" || tag == "from" || tag == "extends")
      TokenStream::fail_at(line, text("'", tag, "' is not supported: a chat template has no other templates"));
    if (tag == "autoescape") TokenStream::fail_at(line, "'autoescape' is not supported: chat templates are not HTML");
    TokenStream::fail_at(line, text("unknown tag '", tag, "'", ends.size() > 0 ? text(", expected ", words(ends), " here") : ""));
  }

  void print(Body& out, int line) {
    bool first = true;
    while (stream_.now().type != TokenType::kBlockEnd) {
      if (!std::exchange(first, false)) stream_.expect_operator(",");
      auto one = std::make_unique<PrintStatement>(line);
      one->expression = expressions_.expression();
      out.push_back(std::move(one));
    }
  }

  std::unique_ptr<Statement> if_statement(int line) {
    auto node = std::make_unique<IfStatement>(line);
    for (;;) {
      ExpressionPointer test = expressions_.tuple(false);
      Body yes = inside({"elif", "else", "endif"}, "if", line);
      node->branches.emplace_back(std::move(test), std::move(yes));
      const std::string tag = stream_.next().text;
      if (tag == "elif") continue;
      if (tag == "else") {
        node->otherwise = inside({"endif"}, "if", line);
        stream_.next();
      }
      return node;
    }
  }

  static bool names_loop(const Target& target) {
    return target.spelling == "loop" || std::any_of(target.parts.begin(), target.parts.end(), names_loop);
  }

  std::unique_ptr<Statement> for_statement(int line) {
    auto node = std::make_unique<ForStatement>(line);
    node->target = expressions_.target({"in"}, false);
    if (names_loop(node->target)) TokenStream::fail_at(line, "can't assign to special loop variable in for-loop target");
    if (!stream_.skip_name("in")) stream_.fail_here(text("expected 'in', found ", describe(stream_.now())));
    node->iterable = expressions_.tuple(false, {"recursive"});
    if (stream_.skip_name("if")) node->filter = expressions_.expression();
    node->recursive = stream_.skip_name("recursive");
    ++loop_depth_;
    node->body = inside({"endfor", "else"}, "for", line);
    --loop_depth_;
    if (stream_.next().text == "else") {
      node->otherwise = inside({"endfor"}, "for", line);
      stream_.next();
    }
    return node;
  }

  std::unique_ptr<Statement> set_statement(int line) {
    Target target = expressions_.target({}, true);
    if (stream_.skip_operator("=")) {
      auto node = std::make_unique<SetStatement>(line);
      node->target = std::move(target);
      node->value = expressions_.tuple();
      return node;
    }
    auto node = std::make_unique<SetBlockStatement>(line);
    node->target = std::move(target);
    node->filter = expressions_.filters(nullptr, false);
    node->body = inside({"endset"}, "set", line);
    stream_.next();
    return node;
  }

  void signature(MacroDefinition& macro) {
    stream_.expect_operator("(");
    while (!stream_.now().is_operator(")")) {
      if (!macro.parameters.empty()) stream_.expect_operator(",");
      MacroDefinition::Parameter& parameter = macro.parameters.emplace_back();
      parameter.spelling = stream_.expect_name();
      parameter.name = stream_.name_id(parameter.spelling);
      if (stream_.skip_operator("=")) parameter.default_value = expressions_.expression();
      else if (macro.parameters.size() > 1 && macro.parameters[macro.parameters.size() - 2].default_value)
        stream_.fail_here("non-default argument follows default argument");
    }
    stream_.next();
  }

  void macro_body(MacroDefinition& macro, const char* tag, const char* end, int line) {
    const bool reads[] = {stream_.reads_caller, stream_.reads_varargs, stream_.reads_kwargs};
    stream_.reads_caller = stream_.reads_varargs = stream_.reads_kwargs = false;
    const int loops = std::exchange(loop_depth_, 0);
    macro.body = inside({end}, tag, line);
    stream_.next();
    loop_depth_ = loops;
    const auto is_parameter = [&](const char* name) {
      return std::any_of(macro.parameters.begin(), macro.parameters.end(), [&](const auto& one) { return one.spelling == name; });
    };
    macro.uses_caller = stream_.reads_caller && !is_parameter("caller");
    macro.uses_varargs = stream_.reads_varargs && !is_parameter("varargs");
    macro.uses_kwargs = stream_.reads_kwargs && !is_parameter("kwargs");
    stream_.reads_caller = stream_.reads_caller || reads[0];
    stream_.reads_varargs = stream_.reads_varargs || reads[1];
    stream_.reads_kwargs = stream_.reads_kwargs || reads[2];
  }

  std::unique_ptr<Statement> macro_statement(int line) {
    auto node = std::make_unique<MacroStatement>(line);
    node->macro.name = stream_.expect_name();
    node->name = stream_.name_id(node->macro.name);
    signature(node->macro);
    macro_body(node->macro, "macro", "endmacro", line);
    return node;
  }

  std::unique_ptr<Statement> call_block(int line) {
    auto node = std::make_unique<CallBlockStatement>(line);
    if (stream_.now().is_operator("(")) signature(node->caller);
    ExpressionPointer call = expressions_.expression();
    if (call->type != ExpressionType::kCall) TokenStream::fail_at(line, "expected a call after 'call'");
    node->call.reset(static_cast<Call*>(call.release()));
    macro_body(node->caller, "call", "endcall", line);
    return node;
  }

  std::unique_ptr<Statement> filter_block(int line) {
    auto node = std::make_unique<FilterBlockStatement>(line);
    node->filter = expressions_.filters(nullptr, true);
    node->body = inside({"endfilter"}, "filter", line);
    stream_.next();
    return node;
  }

  std::unique_ptr<Statement> with_statement(int line) {
    auto node = std::make_unique<WithStatement>(line);
    while (stream_.now().type != TokenType::kBlockEnd && !stream_.now().is_operator(":")) {
      if (!node->variables.empty()) stream_.expect_operator(",");
      // Several targets want brackets here: a comma begins the next variable.
      Target target = expressions_.target({}, false);
      stream_.expect_operator("=");
      node->variables.emplace_back(std::move(target), expressions_.expression());
    }
    node->body = inside({"endwith"}, "with", line);
    stream_.next();
    return node;
  }

  std::unique_ptr<Statement> generation(int line) {
    auto node = std::make_unique<ScopeStatement>(line);
    const int loops = std::exchange(loop_depth_, 0);
    node->body = inside({"endgeneration"}, "generation", line);
    loop_depth_ = loops;
    stream_.next();
    return node;
  }

  std::unique_ptr<Statement> block(int line) {
    auto node = std::make_unique<ScopeStatement>(line);
    const std::string name = stream_.expect_name();
    stream_.skip_name("scoped");
    stream_.skip_name("required");
    const int loops = std::exchange(loop_depth_, 0);
    node->body = inside({"endblock"}, "block", line);
    loop_depth_ = loops;
    stream_.next();
    stream_.skip_name(name.c_str());
    return node;
  }

  TokenStream stream_;
  ExpressionParser expressions_;
  int loop_depth_ = 0;
};

}  // namespace

Tree parse_template(std::string_view source) { return Parser(source).run(); }

}  // namespace colonnade::engine::jinja
