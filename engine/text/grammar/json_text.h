// The pieces that JSON texts are made of, as expressions of one grammar. What is used often becomes a rule, made once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/json.h"
#include "engine/text/grammar/grammar.h"

namespace colonnade::engine {

class JsonText {
 public:
  explicit JsonText(GrammarBuilder& builder) : builder_(builder) {}

  GrammarBuilder& builder() { return builder_; }

  /// After `{`, `[`, `,` and before `}`, `]`.
  GrammarExpr space();
  /// `,` or `:` and the white space behind it.
  GrammarExpr comma();
  GrammarExpr colon();

  /// One character of a string, as it is or escaped.
  GrammarExpr string_char();
  /// A character out of the ranges, escaped where it must be and then only in the shortest way.
  GrammarExpr string_char(const std::vector<CharRange>& ranges);
  GrammarExpr string();
  /// A string whose content `content` matches.
  GrammarExpr quoted(GrammarExpr content);
  /// A string without escapes that is none of the names.
  GrammarExpr string_except(const std::vector<std::string>& names);
  GrammarExpr number();
  GrammarExpr integer();
  GrammarExpr value();
  GrammarExpr object();
  GrammarExpr array();
  /// One value exactly, written without white space.
  GrammarExpr constant(const OrderedJson& value);

 private:
  template <typename Make>
  GrammarExpr once(std::optional<GrammarRule>& rule, const char* name, Make make);
  GrammarExpr except(const std::vector<std::u32string>& names, std::size_t at, int depth);
  GrammarExpr digits(int min, int max);

  GrammarBuilder& builder_;
  std::optional<GrammarRule> space_, char_, string_, number_, integer_, value_, object_, array_;
};

}  // namespace colonnade::engine
