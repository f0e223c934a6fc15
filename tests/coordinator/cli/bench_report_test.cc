#include <catch2/catch.hpp>

#include <algorithm>
#include <sstream>

#include "coordinator/cli/bench_plot.h"
#include "coordinator/cli/bench_rows.h"
#include "coordinator/cli/value_list.h"
#include "engine/base/json.h"

using namespace colonnade;
using namespace colonnade::cli;
using Catch::Matchers::Contains;

namespace {

BenchRow row(const char* test, double sparsity, std::vector<double> rates) {
  BenchRow r;
  r.model = "a <strange> \"model\", & more";
  r.weight_bytes = 4.5e9;
  r.weights = "int4 4.25 bits, head int4 4.25 bits";
  r.sparsity = sparsity;
  r.structure = sparsity > 0 ? "unstructured" : "dense";
  r.kernels = "avx512";
  r.place = "memory";
  r.threads = 2;
  r.test = test;
  r.tokens_per_second.values = std::move(rates);
  r.predicted = 12.5;
  r.bytes_per_step = test[0] == 't' ? 4.5e9 : 0;
  r.bytes_per_second = r.bytes_per_step * r.tokens_per_second.mean();
  r.fraction_of_read = 0.91;
  r.read_bytes_per_second = 5e10;
  return r;
}

std::vector<BenchRow> rows() {
  return {row("pp512", 0, {100, 110}), row("tg128", 0, {9, 10, 11}), row("pp512", 0.9, {300, 310}), row("tg128", 0.9, {40, 44, 36})};
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

/// The fields of a CSV line, quotes undone.
std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> all(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') all.back() += line[++i];
    else if (line[i] == '"') quoted = !quoted;
    else if (line[i] == ',' && !quoted) all.emplace_back();
    else all.back() += line[i];
  }
  return all;
}

}  // namespace

TEST_CASE("means, deviations and medians") {
  CHECK(Series{{9, 10, 11}}.mean() == 10);
  CHECK(Series{{9, 10, 11}}.deviation() == 1);
  CHECK(Series{{5}}.deviation() == 0);
  CHECK(Series{}.mean() == 0);
  CHECK(median({3, 1, 2}) == 2);
  CHECK(median({4, 1, 2, 3}) == 2.5);
  CHECK(median({}) == 0);
}

TEST_CASE("CSV has as many fields in every line as in its head, and keeps odd names") {
  std::istringstream lines(rows_text(rows(), "csv"));
  std::string line;
  std::getline(lines, line);
  const std::vector<std::string> head = fields(line);
  const auto rate = static_cast<std::size_t>(std::find(head.begin(), head.end(), "tokens_per_second") - head.begin());
  std::vector<double> rates;
  while (std::getline(lines, line)) {
    const std::vector<std::string> values = fields(line);
    REQUIRE(values.size() == head.size());
    CHECK(values[0] == "a <strange> \"model\", & more");
    rates.push_back(std::stod(values[rate]));
  }
  CHECK(rates == std::vector<double>{105, 10, 305, 40});
}

TEST_CASE("JSON says the same in numbers") {
  const auto all = parse_json(rows_text(rows(), "json"), "rows");
  REQUIRE(all.ok());
  REQUIRE(all->size() == 4);
  const Json& decode = (*all)[1];
  CHECK(decode["test"] == "tg128");
  CHECK(decode["tokens_per_second"] == 10.0);
  CHECK(decode["deviation"] == 1.0);
  CHECK(decode["predicted_tokens_per_second"] == 12.5);
  CHECK(decode["gigabytes_per_second"] == Approx(45.0));
  CHECK(decode["fraction_of_read_bandwidth"] == 0.91);
  CHECK(decode["model"] == "a <strange> \"model\", & more");
}

TEST_CASE("Markdown has one column for each head") {
  std::istringstream lines(rows_text(rows(), "md"));
  std::string line;
  std::size_t bars = 0;
  while (std::getline(lines, line)) {
    if (bars == 0) bars = count(line, "|");
    CHECK(count(line, "|") == bars);
  }
  CHECK_THAT(rows_text(rows(), "md"), Contains("90 % unstructured") && Contains("| 10.00 ± 1.00 | 12.5 | 45.0 | 0.91 |"));
}

TEST_CASE("the plot has a panel for decode and one for prefill, and a point for each row") {
  const std::string svg = plot_svg(rows());
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(count(svg, "<polyline") == 2);
  CHECK(count(svg, "<circle") == 4 + 2);  // and one in each legend
  CHECK_THAT(svg, Contains(">Decode</text>") && Contains(">Prefill</text>") && Contains("a &lt;strange&gt; &quot;model&quot;, &amp; more"));
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
  // Nothing but what has no rate: still a picture.
  CHECK(plot_svg({row("tg1", 0.5, {})}).find("nan") == std::string::npos);
  CHECK_THAT(plot_svg({}), Contains("</svg>"));
}

TEST_CASE("lists with commas") {
  CHECK(*integer_list("--batch", "1,4,16", 1, 100) == std::vector<int>{1, 4, 16});
  CHECK(*number_list("--sparsity", "0,0.5,1", 0, 1) == std::vector<double>{0, 0.5, 1});
  CHECK(word_list("--x", "")->empty());
  for (const char* bad : {"1,,2", ",1", "1,", "1;2", "0", "101", "x", "1 ", "99999999999999999999"}) {
    CAPTURE(bad);
    const auto list = integer_list("--batch", bad, 1, 100);
    REQUIRE_FALSE(list.ok());
    CHECK_THAT(list.error().message, Contains("--batch: expected"));
  }
  CHECK_FALSE(number_list("--sparsity", "nan", 0, 1).ok());
  CHECK_FALSE(number_list("--sparsity", "1.5", 0, 1).ok());
}
