// Charts as SVG files: series of points over two labelled axes, panels one below the other, a legend above each. Callers speak of
// their own numbers, never of pixels. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace colonnade::cli {

enum class AxisScale { kLinear, kLog };

struct ChartAxis {
  std::string title;  // with its unit
  AxisScale scale = AxisScale::kLinear;
  bool from_zero = false;  // linear ones only
  double least = 0, most = 0;  // the range; equal: what the points need
  double tick = 0;             // distance of ticks; 0: chosen
};

struct ChartPoint {
  double x = 0, y = 0;
  double y_error = 0;      // half the height of its bar; 0: none
  std::string label = {};  // beside the point, where no earlier one is and, if there is such a place, no mark
};

struct ChartSeries {
  std::string name = {};         // in the legend; "": not there
  std::size_t colour = 0;        // taken around where there are not so many
  std::size_t mark = 0;          // circle, square, diamond, triangle; taken around
  std::size_t dash = 0;          // 0: a whole line
  bool line = true;
  bool marks = true;
  bool background = false;       // broad and pale, without marks
  std::vector<ChartPoint> points = {};  // joined in this order; none: an entry of the legend only
};

struct Chart {
  std::string title;
  ChartAxis x, y;
  std::vector<ChartSeries> series;
};

/// One picture. Points that are not finite, or not positive on a logarithmic axis, are left out, and so are those outside of a given range.
std::string charts_svg(const std::vector<Chart>& charts);

}  // namespace colonnade::cli
