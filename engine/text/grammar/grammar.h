// A context-free grammar over characters, as GBNF files and JSON schemas are turned into it, and how to build one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::engine {

/// Code points from first to last, both included.
struct CharRange {
  char32_t first;
  char32_t last;
};

/// An expression of a grammar: an index into its builder's expressions.
using GrammarExpr = std::int32_t;
/// A rule of a grammar, which expressions may refer to before it is defined.
using GrammarRule = std::int32_t;

inline constexpr int kUnbounded = -1;  // for repeat()

/// What a builder's finish() gives; immutable, so thread-safe. Read by the compiler (token_grammar.h) only.
struct Grammar {
  enum class Kind : std::uint8_t {
    kLiteral,   // the bytes [first, first + count) of `bytes`
    kChars,     // one character out of [first, first + count) of `ranges`
    kSequence,  // [first, first + count) of `children`, in order; count 0: the empty text
    kChoice,    // one of them; count 0: nothing matches
    kRepeat,    // children[first], min to max times
    kRule,      // rule `first`
  };
  struct Expr {
    Kind kind;
    std::int32_t first = 0;
    std::int32_t count = 0;
    std::int32_t min = 0;
    std::int32_t max = 0;
  };
  struct Rule {
    std::string name;        // for messages
    GrammarExpr body = -1;
  };
  std::string bytes;
  std::vector<CharRange> ranges;
  std::vector<GrammarExpr> children;
  std::vector<Expr> exprs;
  std::vector<Rule> rules;
  GrammarRule root = -1;
};

/// Not thread-safe. An expression may be used in several places; each use is compiled anew, so what is large and used
/// often should be a rule.
class GrammarBuilder {
 public:
  /// The bytes of `utf8`, exactly.
  GrammarExpr literal(std::string_view utf8);
  /// One character out of the ranges (in any order, overlapping or not); surrogates are left out.
  GrammarExpr chars(std::vector<CharRange> ranges);
  /// One character that is not in the ranges.
  GrammarExpr chars_except(std::vector<CharRange> ranges);
  GrammarExpr empty() { return sequence({}); }
  GrammarExpr never() { return choice({}); }
  GrammarExpr sequence(const std::vector<GrammarExpr>& parts);
  GrammarExpr choice(const std::vector<GrammarExpr>& parts);
  GrammarExpr optional(GrammarExpr part) { return repeat(part, 0, 1); }
  GrammarExpr repeat(GrammarExpr part, int min, int max);
  /// Text up to and including the first place where `marker` (not empty, ASCII) is complete.
  GrammarExpr text_until(std::string_view marker);

  GrammarRule declare(std::string name);
  void define(GrammarRule rule, GrammarExpr body);
  /// declare() and define().
  GrammarRule add_rule(std::string name, GrammarExpr body);
  GrammarExpr use(GrammarRule rule);

  /// How much has been built: for those who bound the work that input may cause.
  std::size_t size() const { return grammar_.exprs.size() + grammar_.children.size() + grammar_.bytes.size() + grammar_.ranges.size(); }

  /// The grammar of texts that `root` matches. Every declared rule must be defined. The builder is empty afterwards.
  Grammar finish(GrammarExpr root);

 private:
  GrammarExpr add(Grammar::Kind kind, std::size_t first, std::size_t count, int min = 0, int max = 0);
  Grammar grammar_;
};

}  // namespace colonnade::engine
