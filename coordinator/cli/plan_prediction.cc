#include "coordinator/cli/plan_prediction.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

using shard::StepPart;
using shard::StepPrediction;

std::string number(double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
  return buffer;
}

std::string percent(double part) { return text(number(100 * std::max(0.0, part)), " %"); }  // a sum of differences may end just below 0

/// The time of a step grows evenly with the context before it, so of many steps one in the middle stands for some of them.
StepPrediction predict_prompt(const shard::PredictionInput& input, int n_tokens, int max_step_tokens) {
  constexpr int kPredictedSteps = 64;
  const int whole_steps = n_tokens / max_step_tokens, rest = n_tokens % max_step_tokens;
  StepPrediction all;
  const auto add = [&](int tokens, double context, double n_steps) {
    const StepPrediction one = predict_step(input, {.tokens_each = tokens, .context_tokens = static_cast<int>(context)});
    all.seconds += n_steps * one.seconds;
    for (std::size_t p = 0; p < shard::kStepParts; ++p) all.part_seconds[p] += n_steps * one.part_seconds[p];
    all.weight_bytes += n_steps * one.weight_bytes;
    all.experts_touched += n_steps * one.experts_touched;
  };
  const int n_groups = std::min(whole_steps, kPredictedSteps);
  for (int g = 0; g < n_groups; ++g) {
    const auto first = static_cast<std::int64_t>(g) * whole_steps / n_groups, last = static_cast<std::int64_t>(g + 1) * whole_steps / n_groups;
    add(max_step_tokens, static_cast<double>(first + last - 1) / 2 * max_step_tokens, static_cast<double>(last - first));
  }
  if (rest > 0) add(rest, static_cast<double>(whole_steps) * max_step_tokens, 1);
  all.experts_touched /= whole_steps + (rest > 0 ? 1 : 0);
  return all;
}

std::string machines_text(const shard::Cluster& cluster) {
  const shard::RankRates& first = cluster.ranks.front();
  std::set<int> hosts;
  for (const shard::RankRates& rank : cluster.ranks) hosts.insert(rank.host);
  std::string out = text(cluster.ranks.size(), cluster.ranks.size() == 1 ? " rank of " : " ranks of ", first.n_cores,
                         first.n_cores == 1 ? " core, " : " cores, ", format_rate(first.bytes_per_second), " each");
  if (hosts.size() > 1)
    out += text(", ", hosts.size(), " hosts joined by ", format_rate(cluster.network_bytes_per_second), " and ",
                number(1e6 * cluster.network_seconds), " us");
  return out;
}

}  // namespace

std::vector<PredictedRow> predict_rows(const shard::PredictionInput& input, const std::vector<int>& batches, std::uint64_t kv_tokens,
                                       int prompt_tokens, int max_step_tokens) {
  std::vector<PredictedRow> rows;
  for (const int batch : batches) {
    const auto each = static_cast<int>(std::min<std::uint64_t>(kv_tokens / static_cast<std::uint64_t>(batch), 1'000'000'000));
    PredictedRow row{.batch = batch, .step = predict_step(input, {.n_sequences = batch, .context_tokens = std::max(0, each - 1)})};
    row.tokens_per_second = batch / row.step.seconds;
    rows.push_back(row);
  }
  if (prompt_tokens > 0) {
    PredictedRow row{.prompt_tokens = prompt_tokens, .step = predict_prompt(input, prompt_tokens, max_step_tokens)};
    row.tokens_per_second = prompt_tokens / row.step.seconds;
    rows.push_back(row);
  }
  return rows;
}

std::string prediction_text(const shard::PredictionInput& input, const std::vector<PredictedRow>& rows, std::uint64_t kv_tokens) {
  std::string out = text("\npredicted for ", machines_text(input.cluster), "; ", input.isa, " costs: ", input.costs.origin, "; ", kv_tokens,
                         " tokens of context over all sequences:\n");
  const bool mixture = std::any_of(rows.begin(), rows.end(), [](const PredictedRow& row) { return row.step.experts_touched > 0; });
  std::vector<std::vector<std::string>> cells{{"", "tokens/s", "a step"}};
  for (std::size_t p = 0; p < shard::kStepParts; ++p) cells[0].push_back(step_part_name(static_cast<StepPart>(p)));
  if (mixture) cells[0].push_back("experts");
  cells[0].push_back("bound by");
  for (const PredictedRow& row : rows) {
    auto& line = cells.emplace_back();
    line = {row.prompt_tokens > 0 ? text("prompt of ", row.prompt_tokens) : text("answers, batch ", row.batch), number(row.tokens_per_second),
            format_seconds(row.step.seconds)};
    for (std::size_t p = 0; p < shard::kStepParts; ++p) line.push_back(percent(row.step.part_of(static_cast<StepPart>(p))));
    if (mixture) line.push_back(number(row.step.experts_touched));
    line.push_back(step_part_name(row.step.bound()));
  }
  std::vector<std::size_t> widths(cells[0].size());
  for (const auto& line : cells)
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  for (const auto& line : cells) {
    for (std::size_t c = 0; c < line.size(); ++c) {
      const std::string gap(widths[c] - line[c].size(), ' ');
      const bool left = c == 0 || c + 1 == line.size();
      out += c == 0 ? line[c] + gap : left ? "  " + line[c] : "  " + gap + line[c];
    }
    out += "\n";
  }
  return out;
}

OrderedJson prediction_json(const std::vector<PredictedRow>& rows) {
  OrderedJson out = OrderedJson::array();
  for (const PredictedRow& row : rows) {
    OrderedJson parts;
    for (std::size_t p = 0; p < shard::kStepParts; ++p) parts[step_part_name(static_cast<StepPart>(p))] = row.step.part_seconds[p];
    out.push_back({{"batch", row.batch},
                   {"prompt_tokens", row.prompt_tokens},
                   {"tokens_per_second", row.tokens_per_second},
                   {"seconds", row.step.seconds},
                   {"parts", std::move(parts)},
                   {"bound_by", step_part_name(row.step.bound())},
                   {"weight_bytes", row.step.weight_bytes},
                   {"experts_touched", row.step.experts_touched}});
  }
  return out;
}

}  // namespace colonnade::cli
