#include "coordinator/cli/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <optional>

#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

// Pixels. The legend stands below the panel's title.
constexpr double kWidth = 760, kPanelHeight = 400;
constexpr double kLeft = 80, kRight = 30, kTop = 44, kBottom = 52, kLegendLine = 18;
constexpr int kTicks = 6;
// A legend of more lines than this stands in two columns, where its names are short enough.
constexpr std::size_t kLongLegend = 6, kLongName = 44;
// Told apart also by those who do not see all colours (Okabe and Ito), and by their marks.
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933"};
constexpr const char* kMarks[] = {"circle", "square", "diamond", "triangle"};
constexpr const char* kDashes[] = {"", " stroke-dasharray=\"6 3\"", " stroke-dasharray=\"2 3\"", " stroke-dasharray=\"8 3 2 3\""};

std::string number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6g", value);
  return buffer;
}

std::string escaped(const std::string& words) {
  std::string out;
  for (const char c : words) out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

std::string label(double x, double y, const std::string& words, const char* anchor, const std::string& more = "") {
  return text("<text x=\"", number(x), "\" y=\"", number(y), "\" text-anchor=\"", anchor, "\"", more, ">", escaped(words), "</text>\n");
}

std::string line(double x1, double y1, double x2, double y2, const std::string& colour, const std::string& more = "") {
  return text("<line x1=\"", number(x1), "\" y1=\"", number(y1), "\" x2=\"", number(x2), "\" y2=\"", number(y2), "\" stroke=\"", colour, "\"",
              more, "/>\n");
}

std::string mark(std::size_t which, double x, double y, const std::string& colour) {
  const std::string kind = kMarks[which % std::size(kMarks)];
  if (kind == "circle") return text("<circle cx=\"", number(x), "\" cy=\"", number(y), "\" r=\"4\" fill=\"", colour, "\"/>\n");
  if (kind == "triangle")
    return text("<path d=\"M", number(x), " ", number(y - 5), "l5 9h-10z\" fill=\"", colour, "\"/>\n");
  const std::string turn = kind == "diamond" ? text(" transform=\"rotate(45 ", number(x), " ", number(y), ")\"") : "";
  return text("<rect x=\"", number(x - 3.5), "\" y=\"", number(y - 3.5), "\" width=\"7\" height=\"7\" fill=\"", colour, "\"", turn, "/>\n");
}

/// The distance of about `count` ticks over `span`: 1, 2 or 5 times a power of ten.
double tick_step(double span, int count) {
  const double rough = span / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

/// A range, what numbers it shows, and where a number lies in it.
struct Scale {
  bool log = false;
  double least = 0, most = 1;
  std::vector<double> ticks;

  bool shows(double value) const { return std::isfinite(value) && value >= least && value <= most; }
  /// 0 … 1.
  double place(double value) const {
    if (log) return std::log(value / least) / std::log(most / least);
    return (value - least) / (most - least);
  }
};

void add_linear_ticks(double step, Scale& scale) {
  constexpr int kMostTicks = 100;  // whatever the numbers
  const double first = std::ceil(scale.least / step - 1e-9);
  for (int i = 0; i < kMostTicks && (first + i) * step <= scale.most + step * 1e-9; ++i) scale.ticks.push_back((first + i) * step);
}

Scale log_scale(double least, double most) {
  Scale scale{.log = true, .least = least, .most = std::max(most, least * 1.001), .ticks = {}};
  for (double power = std::pow(10.0, std::floor(std::log10(scale.least))); power <= scale.most; power *= 10)
    for (const double factor : {1.0, 1.5, 2.0, 3.0, 5.0, 7.0})
      if (factor * power >= scale.least && factor * power <= scale.most) scale.ticks.push_back(factor * power);
  if (scale.ticks.size() > 2 * kTicks)
    std::erase_if(scale.ticks, [](double tick) { return std::fabs(std::log10(tick) - std::round(std::log10(tick))) > 1e-6; });
  if (scale.ticks.size() < 4) {  // a narrow range
    scale.ticks.clear();
    add_linear_ticks(tick_step(scale.most - scale.least, kTicks), scale);
  }
  return scale;
}

/// `values` are those that the axis has to show, lower and upper ends of bars among them.
Scale make_scale(const ChartAxis& axis, const std::vector<double>& values) {
  const bool given = axis.most > axis.least, log = axis.scale == AxisScale::kLog;
  double least = axis.least, most = axis.most;
  if (!given) {
    least = INFINITY;
    most = -INFINITY;
    for (const double value : values) {
      if (!std::isfinite(value) || (log && value <= 0)) continue;
      least = std::min(least, value);
      most = std::max(most, value);
    }
    if (!(least <= most)) least = log ? 1 : 0, most = log ? 10 : 1;
    constexpr double kMargin = 0.05;  // of the range, on each side
    if (log) {
      const double factor = std::max(std::pow(most / least, kMargin), 1.001);
      least /= factor;
      most *= factor;
    } else if (axis.from_zero) {
      least = 0;
      if (!(most > 0)) most = 1;
      const double step = tick_step(most, kTicks);
      most = std::ceil(most / step - 1e-9) * step;
    } else {
      const double margin = std::max((most - least) * kMargin, std::fabs(most) * 1e-3 + 1e-12);
      least -= margin;
      most += margin;
    }
  }
  if (log) return log_scale(least, most);
  Scale scale{.log = false, .least = least, .most = most, .ticks = {}};
  add_linear_ticks(axis.tick > 0 ? axis.tick : tick_step(most - least, kTicks), scale);
  return scale;
}

bool drawable(const Chart& chart, const ChartPoint& p) {
  return std::isfinite(p.x) && std::isfinite(p.y) && (chart.x.scale != AxisScale::kLog || p.x > 0) && (chart.y.scale != AxisScale::kLog || p.y > 0);
}

class Panel {
 public:
  Panel(const Chart& chart, double top) : chart_(chart), top_(top) {
    std::vector<double> xs, ys;
    for (const ChartSeries& series : chart.series)
      for (const ChartPoint& p : series.points) {
        if (!drawable(chart, p)) continue;
        xs.push_back(p.x);
        ys.insert(ys.end(), {p.y - p.y_error, p.y + p.y_error});
      }
    x_ = make_scale(chart.x, xs);
    y_ = make_scale(chart.y, ys);
    std::size_t longest = 0;
    for (const ChartSeries& series : chart.series) {
      legend_entries_ += !series.name.empty();
      longest = std::max(longest, series.name.size());
    }
    legend_columns_ = legend_entries_ > kLongLegend && longest <= kLongName ? 2 : 1;
    plot_top_ = top + kTop + legend_height();
    bottom_ = plot_top_ + kPanelHeight - kTop - kBottom;
  }

  double height() const { return kPanelHeight + legend_height(); }

  std::string svg() const {
    std::string out = label(kLeft, top_ + 24, chart_.title, "start", " font-size=\"16\" font-weight=\"bold\"");
    out += axes();
    for (const bool background : {true, false})
      for (const ChartSeries& series : chart_.series)
        if (series.background == background) out += series_svg(series);
    return out + point_labels() + legend();
  }

 private:
  double legend_height() const {
    return kLegendLine * static_cast<double>((legend_entries_ + legend_columns_ - 1) / legend_columns_);
  }
  double x_of(double value) const { return kLeft + x_.place(value) * (kWidth - kRight - kLeft); }
  double y_of(double value) const { return bottom_ - y_.place(std::clamp(value, y_.least, y_.most)) * (bottom_ - plot_top_); }

  std::string axes() const {
    const double right = kWidth - kRight;
    std::string out;
    for (const double tick : y_.ticks) {
      out += line(kLeft, y_of(tick), right, y_of(tick), tick == y_.least ? "#444" : "#ddd");
      out += label(kLeft - 8, y_of(tick) + 4, number(tick), "end");
    }
    for (const double tick : x_.ticks) {
      out += line(x_of(tick), bottom_, x_of(tick), bottom_ + 5, "#444");
      out += label(x_of(tick), bottom_ + 20, number(tick), "middle");
    }
    out += line(kLeft, bottom_, right, bottom_, "#444") + line(kLeft, plot_top_, kLeft, bottom_, "#444");
    out += label((kLeft + right) / 2, bottom_ + 40, chart_.x.title, "middle");
    const double middle = (plot_top_ + bottom_) / 2;
    return out + label(22, middle, chart_.y.title, "middle", text(" transform=\"rotate(-90 22 ", number(middle), ")\""));
  }

  std::string series_svg(const ChartSeries& series) const {
    if (series.points.empty()) return "";
    const std::string colour = series.background ? "#bbb" : kColours[series.colour % std::size(kColours)];
    const char* const dash = kDashes[series.dash % std::size(kDashes)];
    std::string places, points;
    for (const ChartPoint& p : series.points) {
      if (!drawable(chart_, p) || !x_.shows(p.x) || !y_.shows(p.y)) continue;
      const double x = x_of(p.x), y = y_of(p.y);
      places += text(number(x), ",", number(y), " ");
      if (series.background) continue;
      if (p.y_error > 0) points += line(x, y_of(p.y - p.y_error), x, y_of(p.y + p.y_error), colour);
      if (series.marks) points += mark(series.mark, x, y, colour);
    }
    if (!series.line) return points;
    return text("<polyline fill=\"none\" stroke=\"", colour, "\" stroke-width=\"", series.background ? 7 : 2, "\"", dash, " points=\"", places,
                "\"/>\n", points);
  }

  struct Box {
    std::string words;  // "": of a mark
    double left, right, top, bottom;

    bool overlaps(const Box& other) const { return left < other.right && other.left < right && top < other.bottom && other.top < bottom; }
    bool overlaps_any(const std::vector<Box>& others) const {
      return std::any_of(others.begin(), others.end(), [&](const Box& other) { return overlaps(other); });
    }
  };

  bool is_shown(const ChartPoint& p) const { return drawable(chart_, p) && x_.shows(p.x) && y_.shows(p.y); }

  std::vector<Box> mark_boxes() const {
    constexpr double kHalf = 4.5;
    std::vector<Box> boxes;
    for (const ChartSeries& series : chart_.series)
      for (const ChartPoint& p : series.points)
        if (!series.background && series.marks && is_shown(p)) boxes.push_back({"", x_of(p.x) - kHalf, x_of(p.x) + kHalf, y_of(p.y) - kHalf, y_of(p.y) + kHalf});
    return boxes;
  }

  /// Those of points, at one of their corners; of labels that would lie on one another, or say the same of neighbours,
  /// the first.
  std::string point_labels() const {
    constexpr double kLetter = 6.2, kAscent = 8, kAside = 7, kAbove = 7, kBelow = 15, kNear = 40;  // in this size
    const std::vector<Box> marks = mark_boxes();
    std::vector<Box> taken;
    std::string out;
    for (const ChartSeries& series : chart_.series)
      for (const ChartPoint& p : series.points) {
        if (p.label.empty() || series.background || !is_shown(p)) continue;
        const double width = kLetter * static_cast<double>(p.label.size());
        std::optional<Box> place;
        bool free = false;
        for (const bool above : {true, false})
          for (const bool right : {true, false}) {
            const double left = right ? x_of(p.x) + kAside : x_of(p.x) - kAside - width, y = y_of(p.y) + (above ? -kAbove : kBelow);
            const Box box{p.label, left, left + width, y - kAscent, y + 1};
            if (free || box.left < kLeft || box.right > kWidth || box.bottom > bottom_ || box.overlaps_any(taken)) continue;
            free = !box.overlaps_any(marks);
            if (free || !place) place = box;
          }
        const auto says_it = [&](const Box& other) {
          return other.words == p.label && std::fabs(other.left - x_of(p.x)) < kNear && std::fabs(other.bottom - y_of(p.y)) < kNear;
        };
        if (!place || std::any_of(taken.begin(), taken.end(), says_it)) continue;
        taken.push_back(*place);
        // A pale edge, where lines pass behind it.
        out += label(place->left, place->bottom - 1, p.label, "start",
                     text(" font-size=\"10\" fill=\"", kColours[series.colour % std::size(kColours)],
                          "\" stroke=\"white\" stroke-width=\"3\" paint-order=\"stroke\""));
      }
    return out;
  }

  std::string legend() const {
    std::string out;
    std::size_t entry = 0;
    for (const ChartSeries& series : chart_.series) {
      if (series.name.empty()) continue;
      const double column = (kWidth - kRight - kLeft) / static_cast<double>(legend_columns_);
      const std::size_t lines = (legend_entries_ + legend_columns_ - 1) / legend_columns_;
      const double x = kLeft + column * static_cast<double>(entry / lines);
      const double y = top_ + kTop + kLegendLine * static_cast<double>(entry % lines);
      const std::string colour = series.background ? "#bbb" : kColours[series.colour % std::size(kColours)];
      if (series.line)
        out += line(x, y - 4, x + 26, y - 4, colour,
                    series.background ? " stroke-width=\"7\"" : kDashes[series.dash % std::size(kDashes)]);
      if (!series.background && series.marks) out += mark(series.mark, x + 13, y - 4, colour);
      out += label(x + 34, y, series.name, "start");
      ++entry;
    }
    return out;
  }

  const Chart& chart_;
  double top_, plot_top_ = 0, bottom_ = 0;
  Scale x_, y_;
  std::size_t legend_entries_ = 0, legend_columns_ = 1;
};

}  // namespace

std::string charts_svg(const std::vector<Chart>& charts) {
  double height = 0;
  std::string body;
  for (const Chart& chart : charts) {
    const Panel panel(chart, height);
    body += panel.svg();
    height += panel.height();
  }
  return text("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", number(kWidth), "\" height=\"", number(height), "\" viewBox=\"0 0 ",
              number(kWidth), " ", number(height), "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
              body, "</svg>\n");
}

}  // namespace colonnade::cli
