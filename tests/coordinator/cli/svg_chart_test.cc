#include "coordinator/cli/svg_chart.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <regex>

using namespace colonnade::cli;
using Catch::Matchers::Contains;

namespace {

struct Place {
  double x, y;
};

/// Where the circles of a picture are.
std::vector<Place> circles(const std::string& svg) {
  static const std::regex kCircle("<circle cx=\"([^\"]*)\" cy=\"([^\"]*)\"");
  std::vector<Place> all;
  for (auto at = std::sregex_iterator(svg.begin(), svg.end(), kCircle); at != std::sregex_iterator(); ++at)
    all.push_back({std::stod((*at)[1]), std::stod((*at)[2])});
  return all;
}

Chart chart(AxisScale x, AxisScale y, std::vector<ChartPoint> points) {
  return {.title = "t", .x = {.title = "x", .scale = x}, .y = {.title = "y", .scale = y}, .series = {{.points = std::move(points)}}};
}

std::vector<Place> places(AxisScale x, AxisScale y, const std::vector<ChartPoint>& points) { return circles(charts_svg({chart(x, y, points)})); }

}  // namespace

TEST_CASE("equal factors are equal distances on a logarithmic axis, equal differences on a linear one") {
  const std::vector<ChartPoint> points{{.x = 1, .y = 10}, {.x = 10, .y = 20}, {.x = 100, .y = 30}};
  const auto log = places(AxisScale::kLog, AxisScale::kLinear, points);
  REQUIRE(log.size() == 3);
  CHECK(log[1].x - log[0].x == Approx(log[2].x - log[1].x).margin(0.01));
  CHECK(log[0].x < log[1].x);
  CHECK(log[0].y - log[1].y == Approx(log[1].y - log[2].y).margin(0.01));
  CHECK(log[0].y > log[1].y);  // up is more
  const auto linear = places(AxisScale::kLinear, AxisScale::kLog, points);
  CHECK(linear[2].x - linear[1].x == Approx(10 * (linear[1].x - linear[0].x)).epsilon(0.001));
  CHECK(linear[0].y - linear[1].y > linear[1].y - linear[2].y);
}

TEST_CASE("what cannot be drawn is left out") {
  CHECK(places(AxisScale::kLog, AxisScale::kLog, {{.x = 0, .y = 1}, {.x = -1, .y = 1}, {.x = 1, .y = NAN}, {.x = 1, .y = INFINITY}, {.x = 2, .y = 3}}).size() == 1);
  Chart given = chart(AxisScale::kLinear, AxisScale::kLinear, {{.x = 1, .y = 5}, {.x = 9, .y = 5}, {.x = 11, .y = 5}});
  given.x.least = 0;
  given.x.most = 10;
  given.x.tick = 5;
  const std::string svg = charts_svg({given});
  CHECK(circles(svg).size() == 2);
  CHECK_THAT(svg, Contains(">0</text>") && Contains(">5</text>") && Contains(">10</text>") && !Contains(">11</text>"));
  for (const auto scale : {AxisScale::kLinear, AxisScale::kLog})
    for (const std::vector<ChartPoint>& points : {std::vector<ChartPoint>{}, {{.x = 3, .y = 3}}, {{.x = 1e-300, .y = 1e300}}}) {
      const std::string odd = charts_svg({chart(scale, scale, points)});
      CHECK(odd.find("nan") == std::string::npos);
      CHECK(odd.find("inf") == std::string::npos);
      CHECK(odd.size() < 100'000);
    }
}

TEST_CASE("labels are escaped and points stay within the picture") {
  Chart one = chart(AxisScale::kLog, AxisScale::kLog, {{.x = 1, .y = 2, .label = "<a & \"b\">"}, {.x = 1000, .y = 9}});
  const std::string svg = charts_svg({one});
  CHECK_THAT(svg, Contains("&lt;a &amp; &quot;b&quot;&gt;"));
  for (const Place& place : circles(svg)) {
    CHECK((place.x > 80 && place.x < 730));
    CHECK((place.y > 44 && place.y < 400));
  }
}

TEST_CASE("labels lie beside marks and each other, and say a thing once") {
  Chart one = chart(AxisScale::kLinear, AxisScale::kLinear, {{.x = 0, .y = 0}, {.x = 100, .y = 100}});
  ChartSeries two;
  two.points = {{.x = 50, .y = 50, .label = "50 %"}, {.x = 50.5, .y = 50.5, .label = "50 %"}, {.x = 51, .y = 51, .label = "60 %"}, {.x = 90, .y = 90, .label = "50 %"}};
  one.series.push_back(two);
  const std::string svg = charts_svg({one});
  static const std::regex kLabel("<text x=\"([^\"]*)\" y=\"([^\"]*)\" text-anchor=\"start\" font-size=\"10\"[^>]*>([^<]*)<");
  std::vector<std::string> words;
  std::vector<Place> corners;
  for (auto at = std::sregex_iterator(svg.begin(), svg.end(), kLabel); at != std::sregex_iterator(); ++at) {
    corners.push_back({std::stod((*at)[1]), std::stod((*at)[2])});
    words.push_back((*at)[3]);
  }
  REQUIRE(words == std::vector<std::string>{"50 %", "60 %", "50 %"});
  for (const Place& corner : corners)
    for (const Place& mark : circles(svg)) CHECK_FALSE((mark.x > corner.x && mark.x < corner.x + 20 && mark.y > corner.y - 8 && mark.y < corner.y));
  CHECK((std::fabs(corners[0].y - corners[1].y) > 8 || std::fabs(corners[0].x - corners[1].x) > 20));
}
