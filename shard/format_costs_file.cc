// Cost tables as JSON.
#include <cmath>

#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "shard/format_costs.h"
#include "shard/mapped_file.h"

namespace colonnade::shard {
namespace {

constexpr std::uint64_t kMaxFileBytes = 16u << 20;
constexpr std::size_t kMaxPoints = 100'000;

Error invalid(const std::string& where, const std::string& what) {
  return {ErrorCode::kInvalidArgument, text(where, ": ", what)};
}

/// A number of `object` that is finite and within min … max.
Result<double> number(const OrderedJson& object, const char* name, double min, double max, const std::string& where) {
  const auto at = object.find(name);
  if (at == object.end() || !at->is_number() || !(at->get<double>() >= min && at->get<double>() <= max))
    return invalid(where, text("expected \"", name, "\" to be a number from ", min, " to ", max, ", found ",
                               at == object.end() ? "none" : at->dump(-1, ' ', true, OrderedJson::error_handler_t::replace)));
  return at->get<double>();
}

Result<std::string> word(const OrderedJson& object, const char* name, const std::string& where) {
  const auto at = object.find(name);
  if (at == object.end() || !at->is_string() || at->get<std::string>().empty())
    return invalid(where, text("expected \"", name, "\" to be a text"));
  return at->get<std::string>();
}

Result<CostPoint> parse_point(const OrderedJson& entry, const std::string& where) {
  if (!entry.is_object()) return invalid(where, "expected an object");
  CostPoint point;
  COLONNADE_ASSIGN(point.isa, word(entry, "isa", where));
  COLONNADE_ASSIGN(point.format, word(entry, "format", where));
  COLONNADE_ASSIGN(point.structure, word(entry, "structure", where));
  COLONNADE_ASSIGN(const double tokens, number(entry, "tokens", 1, 65536, where));
  point.tokens = static_cast<int>(tokens);
  COLONNADE_ASSIGN(point.density, number(entry, "density", 0, 1, where));
  COLONNADE_ASSIGN(point.bits_per_weight, number(entry, "bits_per_weight", 1e-6, 1024, where));
  COLONNADE_ASSIGN(point.seconds_per_weight, number(entry, "core_seconds_per_weight", 1e-18, 1, where));
  COLONNADE_ASSIGN(point.memory_seconds_per_weight, number(entry, "memory_core_seconds_per_weight", 0, 1, where));
  return point;
}

}  // namespace

std::string costs_text(const FormatCosts& costs) {
  OrderedJson points = OrderedJson::array();
  for (const CostPoint& p : costs.points)
    points.push_back({{"isa", p.isa}, {"format", p.format}, {"structure", p.structure}, {"density", p.density}, {"tokens", p.tokens},
                      {"bits_per_weight", p.bits_per_weight}, {"core_seconds_per_weight", p.seconds_per_weight},
                      {"memory_core_seconds_per_weight", p.memory_seconds_per_weight}});
  const OrderedJson all = {{"version", 1}, {"cores", costs.n_cores}, {"core_bytes_per_second", costs.core_bytes_per_second},
                           {"costs", points}};
  return all.dump(1) + "\n";
}

Result<FormatCosts> parse_costs(std::string_view content, const std::string& where) {
  COLONNADE_ASSIGN(const OrderedJson all, parse_ordered_json(content, where, 8));
  if (!all.is_object()) return invalid(where, "expected a cost table, an object as bench kernels --write-costs makes it");
  FormatCosts costs;
  costs.origin = where;
  COLONNADE_TRY(number(all, "version", 1, 1, where));
  COLONNADE_ASSIGN(const double cores, number(all, "cores", 0, 1e6, where));
  costs.n_cores = static_cast<int>(cores);
  COLONNADE_ASSIGN(costs.core_bytes_per_second, number(all, "core_bytes_per_second", 1e3, 1e15, where));
  const auto points = all.find("costs");
  if (points == all.end() || !points->is_array() || points->empty() || points->size() > kMaxPoints)
    return invalid(where, text("expected \"costs\" to be a list of 1 to ", kMaxPoints, " entries"));
  for (std::size_t i = 0; i < points->size(); ++i) {
    COLONNADE_ASSIGN(CostPoint point, parse_point((*points)[i], text(where, ": costs entry ", i)));
    costs.points.push_back(std::move(point));
  }
  return costs;
}

Result<FormatCosts> read_costs(const std::filesystem::path& file) {
  COLONNADE_ASSIGN(const std::string content, read_small_file(file, kMaxFileBytes));
  return parse_costs(content, file.string());
}

}  // namespace colonnade::shard
