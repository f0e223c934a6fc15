#include "tests/engine/text/grammar/slow_matcher.h"

#include <optional>

namespace colonnade::tests {
namespace {

using engine::Grammar;
using engine::GrammarExpr;

Grammar::Expr at(const Grammar& grammar, GrammarExpr expr) { return grammar.exprs[static_cast<std::size_t>(expr)]; }

std::size_t utf8_size(const std::string& bytes) {
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/// Some character of the expression begins with (or is) these bytes.
bool begins_character(const Grammar& grammar, const Grammar::Expr& expr, const std::string& bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<std::uint8_t>(bytes[i])); };
  const std::size_t size = utf8_size(bytes);
  if (bytes.size() > size || (byte(0) >= 0x80 && byte(0) < 0xC2) || byte(0) > 0xF4) return false;
  constexpr char32_t kLeadBits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  char32_t low = byte(0) & kLeadBits[size], high = low;
  for (std::size_t i = 1; i < size; ++i) {
    if (i < bytes.size() && (byte(i) & 0xC0) != 0x80) return false;
    low = low << 6 | (i < bytes.size() ? byte(i) & 0x3F : 0);
    high = high << 6 | (i < bytes.size() ? byte(i) & 0x3F : 0x3F);
  }
  low = std::max(low, kLeast[size]);
  for (std::int32_t i = 0; i < expr.count; ++i) {
    const engine::CharRange range = grammar.ranges[static_cast<std::size_t>(expr.first + i)];
    if (std::max(range.first, low) <= std::min(range.last, high)) return true;
  }
  return false;
}

}  // namespace

SlowMatcher::SlowMatcher(const Grammar& grammar) : grammar_(&grammar) {
  std::set<Stack> seen;
  expand({{grammar.rules[static_cast<std::size_t>(grammar.root)].body, -1, 0, ""}}, seen, stacks_);
}

bool SlowMatcher::complete() const { return stacks_.count({}) > 0; }

/// A frame with -1 is a whole expression; literals and characters that are begun have what is done of them.
void SlowMatcher::expand(Stack stack, std::set<Stack>& seen, std::set<Stack>& out) const {
  if (!seen.insert(stack).second) return;
  if (stack.empty()) {
    out.insert(stack);
    return;
  }
  const auto [id, a, b, partial] = stack.back();
  const Grammar::Expr expr = at(*grammar_, id);
  const auto child = [&](std::int32_t i) { return Frame{grammar_->children[static_cast<std::size_t>(expr.first + i)], -1, 0, ""}; };
  switch (expr.kind) {
    case Grammar::Kind::kLiteral:
      if (expr.count > 0) {
        std::get<1>(stack.back()) = std::max(a, 0);
        out.insert(stack);
        return;
      }
      stack.pop_back();
      return expand(stack, seen, out);
    case Grammar::Kind::kChars: out.insert(stack); return;
    case Grammar::Kind::kSequence:
      stack.pop_back();
      for (std::int32_t i = expr.count; i-- > 0;) stack.push_back(child(i));
      return expand(stack, seen, out);
    case Grammar::Kind::kChoice:
      stack.pop_back();
      for (std::int32_t i = 0; i < expr.count; ++i) {
        Stack way = stack;
        way.push_back(child(i));
        expand(way, seen, out);
      }
      return;
    case Grammar::Kind::kRepeat: {
      const int min = a < 0 ? expr.min : a, max = a < 0 ? expr.max : b;
      stack.pop_back();
      if (min == 0) expand(stack, seen, out);
      if (max == 0) return;
      stack.push_back({id, std::max(min - 1, 0), max < 0 ? max : max - 1, ""});
      stack.push_back(child(0));
      return expand(stack, seen, out);
    }
    case Grammar::Kind::kRule:
      stack.pop_back();
      stack.push_back({grammar_->rules[static_cast<std::size_t>(expr.first)].body, -1, 0, ""});
      return expand(stack, seen, out);
  }
}

void SlowMatcher::push_byte(std::uint8_t byte) {
  std::set<Stack> seen, next;
  for (Stack stack : stacks_) {
    if (stack.empty()) continue;
    auto& [id, done, unused, partial] = stack.back();
    const Grammar::Expr expr = at(*grammar_, id);
    if (expr.kind == Grammar::Kind::kLiteral) {
      if (static_cast<std::uint8_t>(grammar_->bytes[static_cast<std::size_t>(expr.first + done)]) != byte) continue;
      if (++done == expr.count) stack.pop_back();
    } else {
      partial += static_cast<char>(byte);
      if (!begins_character(*grammar_, expr, partial)) continue;
      if (partial.size() == utf8_size(partial)) stack.pop_back();
    }
    expand(stack, seen, next);
  }
  stacks_ = std::move(next);
}

void SlowMatcher::push(std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) push_byte(byte);
}

}  // namespace colonnade::tests
