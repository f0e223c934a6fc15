#include "coordinator/cli/bench_plot.h"

#include <algorithm>

#include "coordinator/cli/svg_chart.h"
#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

Chart empty_chart(const char* title) {
  return {.title = title,
          .x = {.title = "weights of attention and feed-forward that are zero, %", .least = 0, .most = 100, .tick = 10},
          .y = {.title = "tokens a second (bars: ± standard deviation)", .from_zero = true},
          .series = {}};
}

}  // namespace

std::string plot_svg(const std::vector<BenchRow>& rows) {
  std::vector<Chart> charts{empty_chart("Decode"), empty_chart("Prefill")};
  for (const BenchRow& row : rows) {
    std::vector<ChartSeries>& all = charts[row.test.starts_with("pp") ? 1 : 0].series;
    const std::string name = text(row.model, ", ", row.test, row.batch > 1 ? text(", batch ", row.batch) : std::string(), ", ", row.n_ranks,
                                  row.n_ranks == 1 ? " rank x " : " ranks x ", row.threads, row.threads == 1 ? " thread, " : " threads, ",
                                  row.kernels);
    auto series = std::find_if(all.begin(), all.end(), [&](const ChartSeries& s) { return s.name == name; });
    if (series == all.end()) series = all.insert(all.end(), {.name = name, .colour = all.size(), .mark = all.size()});
    series->points.push_back({.x = 100 * row.sparsity, .y = row.tokens_per_second.mean(), .y_error = row.tokens_per_second.deviation()});
  }
  std::erase_if(charts, [](const Chart& chart) { return chart.series.empty(); });
  for (Chart& chart : charts)
    for (ChartSeries& series : chart.series)
      std::sort(series.points.begin(), series.points.end(), [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
  return charts_svg(charts);
}

}  // namespace colonnade::cli
