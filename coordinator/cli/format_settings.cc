#include "coordinator/cli/format_settings.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "engine/base/format_text.h"
#include "engine/kernels/kernels.h"

namespace colonnade::cli {
namespace {

struct Amount {
  double weights = 0, bytes = 0;
};

std::string amounts_text(const char* place, const std::map<engine::FormatId, Amount>& formats) {
  std::vector<std::pair<engine::FormatId, Amount>> sorted(formats.begin(), formats.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  std::string out;
  for (const auto& [id, amount] : sorted) {
    char bits[32];
    std::snprintf(bits, sizeof bits, "%.2f bits", 8 * amount.bytes / amount.weights);
    out += text(out.empty() ? place : " + ", engine::find_format(id)->name(), " ", bits);
  }
  return out;
}

}  // namespace

Result<FormatSettings> read_format_settings(const Options& options, const char* forced_option, const char* default_values) {
  FormatSettings settings;
  shard::FormatRules& rules = settings.rules;
  const std::string values = options.text("values"), head = options.text("head-values"), forced = options.text(forced_option);
  const auto format_of = [](const std::string& name) { return engine::find_format(name)->id(); };
  rules.values = format_of(values.empty() ? default_values : values);
  if (!forced.empty()) {
    const engine::Format* format = engine::find_format(forced);
    if (format == nullptr) {
      std::string known;
      for (const std::string& name : shard::format_names()) known += (known.empty() ? "" : ", ") + name;
      return Error{ErrorCode::kInvalidArgument, text("--", forced_option, ": expected one of ", known, ", found \"", forced, "\"")};
    }
    rules.forced = format->id();
    if (!values.empty() && options.source("values") != OptionSource::kDefault && shard::values_of(format->id()) != rules.values)
      return Error{ErrorCode::kInvalidArgument, text("--", forced_option, " ", forced, ": expected a format of --values ", values)};
    rules.values = shard::values_of(format->id());
  }
  rules.head_values = head.empty() ? rules.values : format_of(head);
  COLONNADE_ASSIGN(const engine::KernelTable* const kernels, engine::choose_kernels(options.text("isa")));
  rules.isa = kernels->name;
  if (const std::string file = options.text("costs"); !file.empty()) {
    COLONNADE_ASSIGN(shard::FormatCosts costs, shard::read_costs(file));
    settings.costs = std::make_shared<const shard::FormatCosts>(std::move(costs));
    rules.costs = settings.costs.get();
  }
  return settings;
}

std::string format_summary(const std::vector<shard::PathSpec>& paths, bool with_embedding) {
  std::map<engine::FormatId, Amount> projections, head, embedding;
  bool has_head = false;
  for (const shard::PathSpec& path : paths) has_head = has_head || path.kind == shard::PathKind::kHead;
  for (const shard::PathSpec& path : paths) {
    const bool vocabulary = path.kind == shard::PathKind::kHead || path.kind == shard::PathKind::kEmbedding;
    auto& formats = !vocabulary ? projections : path.kind == shard::PathKind::kHead || !has_head ? head : embedding;
    for (const shard::MatrixSpec& m : path.matrices) {
      Amount& amount = formats[m.format];
      amount.weights += static_cast<double>(m.rows) * m.cols;
      amount.bytes += static_cast<double>(m.bytes);
    }
  }
  if (!with_embedding) embedding.clear();
  std::string out = amounts_text("", projections);
  for (const auto& [place, formats] : {std::pair{"head ", &head}, std::pair{"embedding ", &embedding}})
    if (!formats->empty()) out += (out.empty() ? "" : ", ") + amounts_text(place, *formats);
  return out;
}

engine::Zeros projection_zeros(const std::vector<shard::PathSpec>& paths) {
  double weights = 0, kept = 0, blocks = 0, kept_blocks = 0;
  for (const shard::PathSpec& path : paths) {
    if (!shard::is_projection(path.kind)) continue;
    for (const shard::MatrixSpec& m : path.matrices) {
      const double of_row = std::ceil(static_cast<double>(m.cols) / engine::kBlockWeights);
      weights += static_cast<double>(m.rows) * m.cols;
      kept += m.zeros.density * static_cast<double>(m.rows) * m.cols;
      blocks += m.rows * of_row;
      kept_blocks += m.zeros.block_density * m.rows * of_row;
    }
  }
  return weights > 0 ? engine::Zeros{kept / weights, kept_blocks / blocks} : engine::Zeros{};
}

std::string projection_values(const std::vector<shard::PathSpec>& paths) {
  for (const shard::PathSpec& path : paths)
    if (shard::is_projection(path.kind) && !path.matrices.empty())
      return engine::find_format(shard::values_of(path.matrices.front().format))->name();
  return "";
}

}  // namespace colonnade::cli
