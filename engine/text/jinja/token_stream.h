// The tokens before a parser, and what both halves of it (expressions, statements) share.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/limits.h"
#include "engine/text/jinja/token.h"

namespace colonnade::engine::jinja {

class TokenStream {
 public:
  /// Ends with a kEnd token.
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& now() const { return tokens_[at_]; }
  const Token& then() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  int line() const { return now().line; }
  /// The token that was the current one.
  const Token& next() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }

  bool skip_operator(const char* spelling) {
    const bool found = now().is_operator(spelling);
    if (found) next();
    return found;
  }
  bool skip_name(const char* name) {
    const bool found = now().is_name(name);
    if (found) next();
    return found;
  }
  void expect_operator(const char* spelling) {
    if (!skip_operator(spelling)) fail_here(text("expected '", spelling, "', found ", describe(now())));
  }
  const Token& expect(TokenType type, const char* what) {
    if (now().type != type) fail_here(text("expected ", what, ", found ", describe(now())));
    return next();
  }
  std::string expect_name() { return expect(TokenType::kName, "a name").text; }

  [[noreturn]] void fail_here(std::string message) const { fail_at(line(), std::move(message)); }
  [[noreturn]] static void fail_at(int line, std::string message) {
    throw TemplateError{ErrorCode::kInvalidArgument, std::move(message), line};
  }

  NameId name_id(const std::string& name) {
    return names_.emplace(name, static_cast<NameId>(names_.size())).first->second;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> list(names_.size());
    for (const auto& [name, id] : names_) list[static_cast<std::size_t>(id)] = name;
    return list;
  }

  /// One level of brackets, operators or blocks deeper.
  void enter() {
    if (++depth_ > kMaxSourceDepth)
      throw TemplateError{ErrorCode::kExhausted, text("nested deeper than the limit of ", kMaxSourceDepth, " levels"), line()};
  }
  void leave() { --depth_; }

  // Which of caller, varargs and kwargs the body of the current macro reads.
  bool reads_caller = false, reads_varargs = false, reads_kwargs = false;

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::map<std::string, NameId> names_;
  int depth_ = 0;
};

/// Throwing needs no leave(): a parser that failed is not used again.
class SourceLevel {
 public:
  explicit SourceLevel(TokenStream& stream) : stream_(stream) { stream_.enter(); }
  ~SourceLevel() { stream_.leave(); }
  SourceLevel(const SourceLevel&) = delete;
  SourceLevel& operator=(const SourceLevel&) = delete;

 private:
  TokenStream& stream_;
};

}  // namespace colonnade::engine::jinja
