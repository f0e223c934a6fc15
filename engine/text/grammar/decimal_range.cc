#include "engine/text/grammar/decimal_range.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace colonnade::engine {
namespace {

constexpr std::size_t kMaxWhole = 18;
constexpr std::size_t kMaxFraction = 16;

/// Numbers that are not negative.
class Magnitudes {
 public:
  Magnitudes(GrammarBuilder& builder, const DecimalBounds& bounds) : b_(builder), bounds_(bounds) {}

  GrammarExpr all() {
    std::vector<GrammarExpr> ways;
    for (std::size_t length = 1; length <= static_cast<std::size_t>(bounds_.whole_digits); ++length) {
      bool low = false, high = false;  // the digits so far are those of the bound
      if (bounds_.least) {
        if (length < bounds_.least->whole.size()) continue;
        low = length == bounds_.least->whole.size();
      }
      if (bounds_.most) {
        if (length > bounds_.most->whole.size()) continue;
        high = length == bounds_.most->whole.size();
      }
      ways.push_back(whole(length, 0, low, high));
    }
    return b_.choice(ways);
  }

 private:
  GrammarExpr digit(int first, int last) {
    return b_.chars({{static_cast<char32_t>('0' + first), static_cast<char32_t>('0' + last)}});
  }
  GrammarExpr digits(int min, int max) { return b_.repeat(digit(0, 9), min, std::max(min, max)); }

  /// The ways to go on with a digit from `least` to 9, where `low` and `high` are the bounds' next digits, or -1 and 10
  /// where a bound is of no concern any more. next(low, high) is what follows.
  template <typename Next>
  GrammarExpr next_digit(int least, int low, int high, Next next) {
    std::vector<GrammarExpr> ways;
    const auto add = [&](int first, int last, bool stays_low, bool stays_high) {
      first = std::max(first, least);
      if (first <= last) ways.push_back(b_.sequence({digit(first, last), next(stays_low, stays_high)}));
    };
    if (low == high) {
      add(low, low, true, true);
    } else if (low < high) {
      if (low >= 0) add(low, low, true, false);
      add(low + 1, high - 1, false, false);
      if (high <= 9) add(high, high, false, true);
    }
    return b_.choice(ways);
  }

  GrammarExpr whole(std::size_t length, std::size_t at, bool low, bool high) {
    if (at == length) return fraction(0, low, high);
    if (!low && !high && at > 0) {
      const int left = static_cast<int>(length - at);
      return b_.sequence({digits(left, left), fraction(0, false, false)});
    }
    return next_digit(at == 0 && length > 1 ? 1 : 0, low ? bounds_.least->whole[at] - '0' : -1, high ? bounds_.most->whole[at] - '0' : 10,
                      [&](bool l, bool h) { return whole(length, at + 1, l, h); });
  }

  /// The digits so far are enough, with zeros to follow.
  bool may_end(std::size_t at, bool low, bool high) const {
    if (low && (at < bounds_.least->fraction.size() || bounds_.above_least)) return false;
    return !(high && at >= bounds_.most->fraction.size() && bounds_.below_most);
  }

  GrammarExpr fraction(std::size_t at, bool low, bool high) {
    const auto most = static_cast<std::size_t>(bounds_.fraction_digits);
    std::vector<GrammarExpr> ways;
    if (may_end(at, low, high)) ways.push_back(b_.empty());
    if (at < most) {
      const GrammarExpr more = !low && !high ? digits(1, static_cast<int>(most - at)) : tight_digits(at, low, high);
      ways.push_back(at == 0 ? b_.sequence({b_.literal("."), more}) : more);
    }
    return b_.choice(ways);
  }

  GrammarExpr tight_digits(std::size_t at, bool low, bool high) {
    const auto bound_digit = [&](const Decimal& bound) { return at < bound.fraction.size() ? bound.fraction[at] - '0' : 0; };
    return next_digit(0, low ? bound_digit(*bounds_.least) : -1, high ? bound_digit(*bounds_.most) : 10,
                      [&](bool l, bool h) { return fraction(at + 1, l, h); });
  }

  GrammarBuilder& b_;
  const DecimalBounds& bounds_;
};

}  // namespace

std::optional<Decimal> decimal_of(const OrderedJson& number) {
  if (!number.is_number()) return std::nullopt;
  const std::string written = number.dump();  // of a double: the shortest that reads as the same
  Decimal out;
  std::string digits;
  long exponent = 0;  // of ten, behind the last digit
  bool after_point = false;
  for (std::size_t i = 0; i < written.size(); ++i) {
    const char c = written[i];
    if (c == '-') {
      out.negative = true;
    } else if (c == '.') {
      after_point = true;
    } else if (c == 'e' || c == 'E') {
      exponent += std::strtol(written.c_str() + i + 1, nullptr, 10);
      break;
    } else {
      digits += c;
      exponent -= after_point ? 1 : 0;
    }
  }
  if (std::labs(exponent) > 400) return std::nullopt;
  if (exponent >= 0) {
    out.whole = digits + std::string(static_cast<std::size_t>(exponent), '0');
  } else {
    const auto behind = static_cast<std::size_t>(-exponent);
    if (digits.size() < behind) digits.insert(0, behind - digits.size(), '0');
    out.whole = digits.substr(0, digits.size() - behind);
    out.fraction = digits.substr(digits.size() - behind);
  }
  out.whole.erase(0, std::min(out.whole.find_first_not_of('0'), out.whole.size()));
  if (out.whole.empty()) out.whole = "0";
  out.fraction.erase(out.fraction.find_last_not_of('0') + 1);
  if (out.is_zero()) out.negative = false;
  if (out.whole.size() > kMaxWhole || out.fraction.size() > kMaxFraction) return std::nullopt;
  return out;
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  int order = 0;
  if (a.whole.size() != b.whole.size()) order = a.whole.size() < b.whole.size() ? -1 : 1;
  else if (const int whole = a.whole.compare(b.whole); whole != 0) order = whole < 0 ? -1 : 1;
  else if (const int fraction = a.fraction.compare(b.fraction); fraction != 0) order = fraction < 0 ? -1 : 1;
  return a.negative ? -order : order;
}

GrammarExpr decimal_range(GrammarBuilder& builder, const DecimalBounds& bounds) {
  const Decimal zero{false, "0", ""};
  std::vector<GrammarExpr> ways;
  // Not negative.
  if (!bounds.most || !bounds.most->negative) {
    DecimalBounds part = bounds;
    if (part.least && part.least->negative) {
      part.least.reset();
      part.above_least = false;
    }
    ways.push_back(Magnitudes(builder, part).all());
  }
  // Below zero, bounds change sides.
  if (!bounds.least || bounds.least->negative) {
    DecimalBounds part = bounds;
    part.least = zero;
    part.above_least = true;
    part.most.reset();
    part.below_most = false;
    if (bounds.most && compare(*bounds.most, zero) < 0) {
      part.least = bounds.most;
      part.least->negative = false;
      part.above_least = bounds.below_most;
    }
    if (bounds.least) {
      part.most = bounds.least;
      part.most->negative = false;
      part.below_most = bounds.above_least;
    }
    ways.push_back(builder.sequence({builder.literal("-"), Magnitudes(builder, part).all()}));
  }
  return builder.choice(ways);
}

}  // namespace colonnade::engine
