#include "coordinator/cli/quality_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <utility>

#include "coordinator/cli/svg_chart.h"
#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

/// "Near the dense model": of its perplexity.
constexpr double kNear = 1.1;
/// Ranges from the least to the most beyond this are drawn logarithmically.
constexpr double kLogRange = 2;
constexpr std::size_t kBlack = 6;  // of the chart's colours

struct ByteUnit {
  const char* name;
  double bytes;
};

ByteUnit unit_for(double most) {
  if (most >= 1e9) return {"GB", 1e9};
  return most >= 1e6 ? ByteUnit{"MB", 1e6} : ByteUnit{"kB", 1e3};
}

std::string percent(double share) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.3g %%", 100 * share);
  return buffer;
}

AxisScale scale_for(double least, double most) { return least > 0 && most > kLogRange * least ? AxisScale::kLog : AxisScale::kLinear; }

/// What is drawn of some rows.
class QualityChart {
 public:
  QualityChart(const std::vector<QualityRow>& rows, bool perplexities)
      : rows_(rows), perplexities_(perplexities), front_(pareto_front(rows)) {
    double most = 0;
    for (const QualityRow& row : rows) most = std::max(most, row.bytes_per_token);
    unit_ = unit_for(most);
    // Every kind has its colour and all values their mark and dash, in whichever panel.
    for (const QualityRow& row : rows) {
      if (is_pruned(row)) colours_.try_emplace({row.kind, row.structure}, colours_.size() < kBlack ? colours_.size() : colours_.size() + 1);
      marks_.try_emplace(row.values, marks_.size());
    }
  }

  double measure(const QualityRow& row) const { return perplexities_ ? row.perplexity : row.bits_per_byte; }

  /// Of rows with a measure up to `limit`.
  Chart chart(const std::string& title, double limit) const {
    Chart chart{.title = title, .x = {}, .y = {}, .series = {}};
    double least_x = INFINITY, most_x = 0, least_y = INFINITY, most_y = 0;
    ChartSeries front{.name = "best of its size", .background = true, .points = {}};
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const QualityRow& row = rows_[i];
      if (!(measure(row) <= limit)) continue;
      ChartPoint point{.x = row.bytes_per_token / unit_.bytes, .y = measure(row), .y_error = 0, .label = label(row, front_[i])};
      least_x = std::min(least_x, point.x), most_x = std::max(most_x, point.x);
      least_y = std::min(least_y, point.y), most_y = std::max(most_y, point.y);
      if (front_[i]) front.points.push_back({.x = point.x, .y = point.y, .y_error = 0, .label = ""});
      series_for(row, chart.series).points.push_back(std::move(point));
    }
    std::sort(front.points.begin(), front.points.end(), [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
    chart.series.push_back(std::move(front));
    chart.x = {.title = text("weights read for a token, ", unit_.name), .scale = scale_for(least_x, most_x)};
    chart.y = {.title = perplexities_ ? "perplexity of the text" : "bits per byte of the text", .scale = scale_for(least_y, most_y)};
    return chart;
  }

 private:
  static bool is_pruned(const QualityRow& row) { return row.kind != "dense" && row.kind != "other"; }

  static std::string label(const QualityRow& row, bool on_front) {
    if (row.kind == "other") return row.name;
    if (row.kind == "dense") return row.values;
    return on_front ? percent(row.asked_sparsity) : "";
  }

  ChartSeries& series_for(const QualityRow& row, std::vector<ChartSeries>& all) const {
    std::string name = row.kind == "other" ? "other models" : row.kind;
    if (is_pruned(row)) name += text(row.structure == "unstructured" ? "" : ", " + row.structure, ", ", row.values);
    const auto found = std::find_if(all.begin(), all.end(), [&](const ChartSeries& series) { return series.name == name; });
    if (found != all.end()) return *found;
    ChartSeries series{.name = name, .colour = kBlack, .mark = 0, .dash = 0, .line = row.kind != "other", .points = {}};
    if (is_pruned(row)) {
      series.colour = colours_.at({row.kind, row.structure});
      series.mark = series.dash = marks_.at(row.values);
    } else if (row.kind == "other") {
      series.mark = 3;
    }
    return all.emplace_back(std::move(series));
  }

  const std::vector<QualityRow>& rows_;
  bool perplexities_;
  std::vector<bool> front_;
  ByteUnit unit_{};
  std::map<std::pair<std::string, std::string>, std::size_t> colours_;
  std::map<std::string, std::size_t> marks_;
};

}  // namespace

std::string quality_svg(const std::vector<QualityRow>& rows) {
  if (rows.empty()) return charts_svg({});
  const bool perplexities = same_text(rows);
  const QualityChart drawing(rows, perplexities);
  double most = 0;
  std::size_t n_near = 0;
  const double near = drawing.measure(rows.front()) * kNear;
  for (const QualityRow& row : rows) {
    most = std::max(most, drawing.measure(row));
    n_near += drawing.measure(row) <= near;
  }
  const char* const what = perplexities ? "Perplexity" : "Bits per byte";
  std::vector<Chart> charts{drawing.chart(text(what, " against what a token costs to read"), INFINITY)};
  if (most > near && n_near > 1) charts.push_back(drawing.chart(text("The same within 10 % of ", rows.front().name), near));
  return charts_svg(charts);
}

}  // namespace colonnade::cli
