#include "shard/format_costs.h"

#include <algorithm>
#include <cmath>

namespace colonnade::shard {

double overlapped_seconds(double memory, double compute) {
  constexpr double kOverlap = 2.5;
  const double larger = std::max(memory, compute), smaller = std::min(memory, compute);
  // By their ratio, which neither overflows nor vanishes.
  return larger > 0 ? larger * std::pow(1 + std::pow(smaller / larger, kOverlap), 1 / kOverlap) : 0.0;
}

std::optional<double> FormatCosts::seconds_per_weight(std::string_view isa, std::string_view format, int tokens,
                                                      double bits_per_weight, double CostPoint::*measured) const {
  int token_class = 0;
  for (const CostPoint& point : points)
    if (point.isa == isa && point.format == format && point.tokens <= tokens) token_class = std::max(token_class, point.tokens);
  // The nearest points on either side.
  const CostPoint* below = nullptr;
  const CostPoint* above = nullptr;
  for (const CostPoint& point : points) {
    if (point.isa != isa || point.format != format || point.tokens != token_class) continue;
    if (point.bits_per_weight <= bits_per_weight) {
      if (below == nullptr || point.bits_per_weight > below->bits_per_weight) below = &point;
    } else if (above == nullptr || point.bits_per_weight < above->bits_per_weight) {
      above = &point;
    }
  }
  if (below == nullptr && above == nullptr) return std::nullopt;
  if (below == nullptr) return above->*measured;
  if (above == nullptr) return below->*measured * bits_per_weight / below->bits_per_weight;
  const double part = (bits_per_weight - below->bits_per_weight) / (above->bits_per_weight - below->bits_per_weight);
  return below->*measured + part * (above->*measured - below->*measured);
}

std::optional<double> FormatCosts::step_seconds_per_weight(std::string_view isa, std::string_view format, int tokens,
                                                           double bits_per_weight) const {
  int below = 0, above = 0;  // measured numbers of tokens; 0: none
  for (const CostPoint& point : points) {
    if (point.isa != isa || point.format != format) continue;
    if (point.tokens <= tokens) below = std::max(below, point.tokens);
    else above = above == 0 ? point.tokens : std::min(above, point.tokens);
  }
  const auto at = [&](int measured) { return seconds_per_weight(isa, format, measured, bits_per_weight).value_or(0.0); };
  if (below == 0 && above == 0) return std::nullopt;
  if (below == 0) return at(above);
  if (above == 0) return at(below) * tokens / below;
  return at(below) + (at(above) - at(below)) * (tokens - below) / (above - below);
}

std::optional<double> FormatCosts::pass_seconds(std::string_view isa, std::string_view format, int tokens, double weights,
                                                double bytes) const {
  if (weights <= 0) return 0.0;
  const auto compute = seconds_per_weight(isa, format, tokens, 8 * bytes / weights);
  if (!compute) return std::nullopt;
  const auto memory = seconds_per_weight(isa, format, tokens, 8 * bytes / weights, &CostPoint::memory_seconds_per_weight);
  return std::max(overlapped_seconds(bytes / core_bytes_per_second, *compute * weights), memory.value_or(0) * weights);
}

}  // namespace colonnade::shard
