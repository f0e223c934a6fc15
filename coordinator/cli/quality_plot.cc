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
constexpr std::size_t kBlack = 6, kTriangle = 3;  // of the chart's colours and marks; values have the other marks

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
    // Every kind has its colour and all values their mark and dash.
    for (const QualityRow& row : rows) {
      if (is_pruned(row)) colours_.try_emplace({row.kind, row.structure}, colours_.size() < kBlack ? colours_.size() : colours_.size() + 1);
      marks_.try_emplace(row.values, marks_.size());
    }
  }

  double measure(const QualityRow& row) const { return perplexities_ ? row.perplexity : row.bits_per_byte; }

  /// Of rows with a measure up to `limit`.
  Chart chart(const std::string& title, double limit, bool with_legend) const {
    Chart chart{.title = title, .x = {}, .y = {}, .series = {}};
    double least_x = INFINITY, most_x = 0, least_y = INFINITY, most_y = 0;
    std::map<std::string, ChartSeries> all;
    ChartSeries front{.name = "best of its size", .background = true, .points = {}};
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const QualityRow& row = rows_[i];
      if (!(measure(row) <= limit)) continue;
      ChartPoint point{.x = row.bytes_per_token / unit_.bytes, .y = measure(row), .y_error = 0, .label = label(row, front_[i])};
      least_x = std::min(least_x, point.x), most_x = std::max(most_x, point.x);
      least_y = std::min(least_y, point.y), most_y = std::max(most_y, point.y);
      if (front_[i]) front.points.push_back({.x = point.x, .y = point.y, .y_error = 0, .label = ""});
      series_for(row, all).points.push_back(std::move(point));
    }
    std::sort(front.points.begin(), front.points.end(), [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
    // Colours are explained by themselves, and so are marks.
    for (const auto& [kind, colour] : colours_)
      chart.series.push_back({.name = text(kind.first, kind.second == "unstructured" ? "" : ", " + kind.second), .colour = colour, .marks = false});
    std::sort(chart.series.begin(), chart.series.end(), [](const ChartSeries& a, const ChartSeries& b) { return a.colour < b.colour; });
    for (auto& [key, series] : all) chart.series.push_back(std::move(series));
    chart.series.push_back(std::move(front));
    std::vector<ChartSeries> values_of_marks(colours_.empty() ? 0 : marks_.size());
    for (const auto& [values, mark] : marks_)
      if (!colours_.empty()) values_of_marks[mark] = {.name = values + " values", .colour = kBlack, .mark = mark, .dash = mark};
    chart.series.insert(chart.series.end(), values_of_marks.begin(), values_of_marks.end());
    if (!with_legend)
      for (ChartSeries& series : chart.series) series.name.clear();
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

  /// The series of a row in `all`, which have the order in which they are drawn.
  ChartSeries& series_for(const QualityRow& row, std::map<std::string, ChartSeries>& all) const {
    if (row.kind == "dense") return all.try_emplace("0", ChartSeries{.name = "dense", .colour = kBlack, .mark = kTriangle}).first->second;
    if (!is_pruned(row)) return all.try_emplace("1", ChartSeries{.name = "other models", .colour = kBlack, .mark = kTriangle, .line = false}).first->second;
    const std::size_t colour = colours_.at({row.kind, row.structure}), mark = marks_.at(row.values);
    return all.try_emplace(text("2 ", row.kind, " ", row.structure, " ", row.values), ChartSeries{.colour = colour, .mark = mark, .dash = mark}).first->second;
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
  std::vector<Chart> charts{drawing.chart(text(what, " against what a token costs to read"), INFINITY, true)};
  if (most > near && n_near > 1) charts.push_back(drawing.chart(text("The same within 10 % of ", rows.front().name), near, false));
  return charts_svg(charts);
}

}  // namespace colonnade::cli
