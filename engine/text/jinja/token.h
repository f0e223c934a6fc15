// The tokens of a template.
#pragma once

#include <cstdint>
#include <string>

namespace colonnade::engine::jinja {

enum class TokenType {
  kData,           // text between tags
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,  // its spelling is the token's text
  kEnd,       // of the template
};

struct Token {
  TokenType type = TokenType::kEnd;
  std::string text;  // data, name, the decoded string or the operator
  int line = 1;
  std::int64_t integer = 0;
  double real = 0;

  bool is_operator(const char* spelling) const { return type == TokenType::kOperator && text == spelling; }
  bool is_name(const char* name) const { return type == TokenType::kName && text == name; }
};

/// For messages: "'endif'", "end of template", ...
std::string describe(const Token& token);

}  // namespace colonnade::engine::jinja
