#include "engine/text/grammar/grammar.h"

#include <algorithm>
#include <utility>

namespace colonnade::engine {
namespace {

constexpr char32_t kLastChar = 0x10FFFF;

/// Sorted, without overlaps and without surrogates, which no UTF-8 has.
std::vector<CharRange> normalized(std::vector<CharRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const CharRange& a, const CharRange& b) { return a.first < b.first; });
  std::vector<CharRange> out;
  const auto append = [&](char32_t first, char32_t last) {
    if (first > last) return;
    if (!out.empty() && first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, last);
    } else {
      out.push_back({first, last});
    }
  };
  for (const CharRange& range : ranges) {
    const char32_t last = std::min(range.last, kLastChar);
    append(range.first, std::min<char32_t>(last, 0xD7FF));
    append(std::max<char32_t>(range.first, 0xE000), last);
  }
  return out;
}

}  // namespace

GrammarExpr GrammarBuilder::add(Grammar::Kind kind, std::size_t first, std::size_t count, int min, int max) {
  grammar_.exprs.push_back({kind, static_cast<std::int32_t>(first), static_cast<std::int32_t>(count), min, max});
  return static_cast<GrammarExpr>(grammar_.exprs.size() - 1);
}

GrammarExpr GrammarBuilder::literal(std::string_view utf8) {
  const std::size_t first = grammar_.bytes.size();
  grammar_.bytes += utf8;
  return add(Grammar::Kind::kLiteral, first, utf8.size());
}

GrammarExpr GrammarBuilder::chars(std::vector<CharRange> ranges) {
  ranges = normalized(std::move(ranges));
  const std::size_t first = grammar_.ranges.size();
  grammar_.ranges.insert(grammar_.ranges.end(), ranges.begin(), ranges.end());
  return add(Grammar::Kind::kChars, first, ranges.size());
}

GrammarExpr GrammarBuilder::chars_except(std::vector<CharRange> ranges) {
  std::vector<CharRange> others;
  char32_t next = 0;
  for (const CharRange& range : normalized(std::move(ranges))) {
    if (range.first > next) others.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastChar) others.push_back({next, kLastChar});
  return chars(std::move(others));
}

GrammarExpr GrammarBuilder::sequence(const std::vector<GrammarExpr>& parts) {
  const std::size_t first = grammar_.children.size();
  grammar_.children.insert(grammar_.children.end(), parts.begin(), parts.end());
  return add(Grammar::Kind::kSequence, first, parts.size());
}

GrammarExpr GrammarBuilder::choice(const std::vector<GrammarExpr>& parts) {
  const std::size_t first = grammar_.children.size();
  grammar_.children.insert(grammar_.children.end(), parts.begin(), parts.end());
  return add(Grammar::Kind::kChoice, first, parts.size());
}

GrammarExpr GrammarBuilder::repeat(GrammarExpr part, int min, int max) {
  COLONNADE_CHECK(min >= 0 && (max == kUnbounded || max >= min), "a repetition must have a sensible range");
  grammar_.children.push_back(part);
  return add(Grammar::Kind::kRepeat, grammar_.children.size() - 1, 1, min, max);
}

GrammarExpr GrammarBuilder::text_until(std::string_view marker) {
  COLONNADE_CHECK(!marker.empty(), "text_until needs a marker");
  // One rule for each number of marker characters that stand at the end of the text so far (Knuth, Morris, Pratt).
  const std::size_t size = marker.size();
  std::vector<GrammarRule> rules;
  for (std::size_t i = 0; i < size; ++i) rules.push_back(declare("until"));
  std::vector<char> letters(marker.begin(), marker.end());
  std::sort(letters.begin(), letters.end());
  letters.erase(std::unique(letters.begin(), letters.end()), letters.end());
  std::vector<CharRange> known;
  for (const char c : letters) known.push_back({static_cast<char32_t>(c), static_cast<char32_t>(c)});
  for (std::size_t i = 0; i < size; ++i) {
    std::vector<GrammarExpr> ways = {sequence({chars_except(known), use(rules[0])})};
    for (const char c : letters) {
      const std::string seen = std::string(marker.substr(0, i)) + c;
      std::size_t matched = seen.size();
      while (!std::string_view(seen).ends_with(marker.substr(0, matched))) --matched;
      const GrammarExpr step = literal({&c, 1});
      ways.push_back(matched == size ? step : sequence({step, use(rules[matched])}));
    }
    define(rules[i], choice(ways));
  }
  return use(rules[0]);
}

GrammarRule GrammarBuilder::declare(std::string name) {
  grammar_.rules.push_back({std::move(name), -1});
  return static_cast<GrammarRule>(grammar_.rules.size() - 1);
}

void GrammarBuilder::define(GrammarRule rule, GrammarExpr body) {
  grammar_.rules[static_cast<std::size_t>(rule)].body = body;
}

GrammarRule GrammarBuilder::add_rule(std::string name, GrammarExpr body) {
  const GrammarRule rule = declare(std::move(name));
  define(rule, body);
  return rule;
}

GrammarExpr GrammarBuilder::use(GrammarRule rule) {
  return add(Grammar::Kind::kRule, static_cast<std::size_t>(rule), 0);
}

Grammar GrammarBuilder::finish(GrammarExpr root) {
  grammar_.root = add_rule("root", root);
  for (const Grammar::Rule& rule : grammar_.rules) COLONNADE_CHECK(rule.body >= 0, "rule " + rule.name + " is not defined");
  return std::exchange(grammar_, {});
}

}  // namespace colonnade::engine
