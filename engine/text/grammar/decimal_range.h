// Decimal numbers within bounds, compared digit by digit.
#pragma once

#include <optional>
#include <string>

#include "engine/base/json.h"
#include "engine/text/grammar/grammar.h"

namespace colonnade::engine {

/// A number as it is written without an exponent.
struct Decimal {
  bool negative = false;
  std::string whole;     // without leading zeros; "0" at least
  std::string fraction;  // without trailing zeros
  bool is_zero() const { return whole == "0" && fraction.empty(); }
};

/// The value of a JSON number; nothing when it takes more than 18 digits before or 16 after the point.
std::optional<Decimal> decimal_of(const OrderedJson& number);
/// -1, 0, 1
int compare(const Decimal& a, const Decimal& b);

struct DecimalBounds {
  std::optional<Decimal> least;
  bool above_least = false;   // not least itself
  std::optional<Decimal> most;
  bool below_most = false;
  int whole_digits = 16;      // at most
  int fraction_digits = 16;   // at most; 0: integers
};

/// The numbers within the bounds, without exponents.
GrammarExpr decimal_range(GrammarBuilder& builder, const DecimalBounds& bounds);

}  // namespace colonnade::engine
