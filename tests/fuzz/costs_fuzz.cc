#include <cmath>
#include <string_view>

#include "shard/format_costs.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto costs = colonnade::shard::parse_costs(text, "costs.json");
  if (!costs.ok()) return 0;
  // What is accepted predicts finite times for everything that it knows, and survives being written.
  for (const auto& point : costs->points) {
    const auto seconds = costs->pass_seconds(point.isa, point.format, point.tokens, 1e6, 5e5);
    if (!seconds || !std::isfinite(*seconds) || *seconds <= 0) __builtin_trap();
  }
  const auto again = colonnade::shard::parse_costs(colonnade::shard::costs_text(*costs), "costs.json");
  if (!again.ok() || again->points.size() != costs->points.size()) __builtin_trap();
  return 0;
}
