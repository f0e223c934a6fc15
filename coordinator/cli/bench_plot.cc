#include "coordinator/cli/bench_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

// Pixels. The legend stands below the panel's title.
constexpr double kWidth = 760, kPanelHeight = 400;
constexpr double kLeft = 80, kRight = 30, kTop = 44, kBottom = 52, kLegendLine = 18;
// Told apart also by those who do not see all colours (Okabe and Ito), and by their marks.
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933"};
constexpr const char* kMarks[] = {"circle", "square", "diamond"};

struct Point {
  double sparsity, rate, deviation;
};

struct Curve {
  std::string name;
  std::vector<Point> points;
};

struct Panel {
  std::string title;
  std::vector<Curve> curves;
};

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

std::string label(double x, double y, const std::string& words, const char* anchor, const char* more = "") {
  return text("<text x=\"", number(x), "\" y=\"", number(y), "\" text-anchor=\"", anchor, "\"", more, ">", escaped(words), "</text>\n");
}

std::string line(double x1, double y1, double x2, double y2, const std::string& colour) {
  return text("<line x1=\"", number(x1), "\" y1=\"", number(y1), "\" x2=\"", number(x2), "\" y2=\"", number(y2), "\" stroke=\"", colour, "\"/>\n");
}

std::string mark(std::size_t which, double x, double y, const std::string& colour) {
  const std::string kind = kMarks[which % std::size(kMarks)];
  if (kind == "circle") return text("<circle cx=\"", number(x), "\" cy=\"", number(y), "\" r=\"4\" fill=\"", colour, "\"/>\n");
  const std::string turn = kind == "diamond" ? text(" transform=\"rotate(45 ", number(x), " ", number(y), ")\"") : "";
  return text("<rect x=\"", number(x - 3.5), "\" y=\"", number(y - 3.5), "\" width=\"7\" height=\"7\" fill=\"", colour, "\"", turn, "/>\n");
}

/// The distance of about `count` ticks up to `largest`: 1, 2 or 5 times a power of ten.
double tick_step(double largest, int count) {
  const double rough = largest / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough) return factor * power;
  return 10 * power;
}

std::string panel_svg(const Panel& panel, double top) {
  double largest = 0;
  for (const Curve& curve : panel.curves)
    for (const Point& p : curve.points) largest = std::max(largest, p.rate + p.deviation);
  if (!(largest > 0)) largest = 1;
  const double step = tick_step(largest, 6);
  const double y_max = std::ceil(largest / step - 1e-9) * step;
  const double plot_top = top + kTop + kLegendLine * static_cast<double>(panel.curves.size());
  const double bottom = plot_top + kPanelHeight - kTop - kBottom, right = kWidth - kRight;
  const auto x_of = [&](double sparsity) { return kLeft + sparsity * (right - kLeft); };
  const auto y_of = [&](double rate) { return bottom - rate / y_max * (bottom - plot_top); };

  std::string out = label(kLeft, top + 24, panel.title, "start", " font-size=\"16\" font-weight=\"bold\"");
  for (double tick = 0; tick <= y_max + step / 2; tick += step) {
    out += line(kLeft, y_of(tick), right, y_of(tick), tick == 0 ? "#444" : "#ddd");
    out += label(kLeft - 8, y_of(tick) + 4, number(tick), "end");
  }
  for (int percent = 0; percent <= 100; percent += 10) {
    out += line(x_of(percent / 100.0), bottom, x_of(percent / 100.0), bottom + 5, "#444");
    out += label(x_of(percent / 100.0), bottom + 20, text(percent), "middle");
  }
  out += line(kLeft, plot_top, kLeft, bottom, "#444");
  out += label((kLeft + right) / 2, bottom + 40, "weights of attention and feed-forward that are zero, %", "middle");
  const double middle = (plot_top + bottom) / 2;
  out += label(22, middle, "tokens a second", "middle", text(" transform=\"rotate(-90 22 ", number(middle), ")\"").c_str());
  for (std::size_t c = 0; c < panel.curves.size(); ++c) {
    const Curve& curve = panel.curves[c];
    const std::string colour = kColours[c % std::size(kColours)];
    std::string places;
    for (const Point& p : curve.points) places += text(number(x_of(p.sparsity)), ",", number(y_of(p.rate)), " ");
    out += text("<polyline fill=\"none\" stroke=\"", colour, "\" stroke-width=\"2\" points=\"", places, "\"/>\n");
    for (const Point& p : curve.points) {
      const double x = x_of(p.sparsity);
      if (p.deviation > 0) out += line(x, y_of(p.rate - p.deviation), x, y_of(p.rate + p.deviation), colour);
      out += mark(c, x, y_of(p.rate), colour);
    }
    const double y = top + kTop + kLegendLine * static_cast<double>(c);
    out += line(kLeft, y - 4, kLeft + 26, y - 4, colour) + mark(c, kLeft + 13, y - 4, colour) + label(kLeft + 34, y, curve.name, "start");
  }
  return out;
}

}  // namespace

std::string plot_svg(const std::vector<BenchRow>& rows) {
  Panel decode{.title = "Decode", .curves = {}}, prefill{.title = "Prefill", .curves = {}};
  for (const BenchRow& row : rows) {
    Panel& panel = row.test.starts_with("pp") ? prefill : decode;
    const std::string name = text(row.model, ", ", row.test, row.batch > 1 ? text(", batch ", row.batch) : std::string(), ", ", row.n_ranks,
                                  row.n_ranks == 1 ? " rank x " : " ranks x ", row.threads, row.threads == 1 ? " thread, " : " threads, ",
                                  row.kernels);
    auto curve = std::find_if(panel.curves.begin(), panel.curves.end(), [&](const Curve& c) { return c.name == name; });
    if (curve == panel.curves.end()) curve = panel.curves.insert(panel.curves.end(), {name, {}});
    curve->points.push_back({row.sparsity, row.tokens_per_second.mean(), row.tokens_per_second.deviation()});
  }
  double height = 0;
  std::string body;
  for (Panel* panel : {&decode, &prefill}) {
    if (panel->curves.empty()) continue;
    for (Curve& curve : panel->curves)
      std::sort(curve.points.begin(), curve.points.end(), [](const Point& a, const Point& b) { return a.sparsity < b.sparsity; });
    body += panel_svg(*panel, height);
    height += kPanelHeight + kLegendLine * static_cast<double>(panel->curves.size());
  }
  return text("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", number(kWidth), "\" height=\"", number(height), "\" viewBox=\"0 0 ",
              number(kWidth), " ", number(height), "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
              body, "</svg>\n");
}

}  // namespace colonnade::cli
