#include "coordinator/cli/quality_rows.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <sstream>

#include "coordinator/cli/quality_plot.h"

using namespace colonnade;
using namespace colonnade::cli;
using Catch::Matchers::Contains;

namespace {

QualityRow row(const char* name, const char* kind, const char* values, double bytes, double nll) {
  QualityRow r;
  r.name = name;
  r.kind = kind;
  r.structure = r.kind == "dense" ? "dense" : "unstructured";
  r.values = values;
  r.asked_sparsity = r.sparsity = r.kind == "dense" ? 0 : 0.5;
  r.bytes_per_token = bytes;
  r.packed_bytes = 5'000'000'000;
  r.weights = "int4 4.25 bits, head int4 4.25 bits";
  r.mean_nll = nll;
  r.perplexity = std::exp(nll);
  r.perplexity_error = 0.01;
  r.bits_per_byte = nll / 3;
  r.tokens = 1000;
  r.text_id = 0xfedcba9876543210;
  return r;
}

std::vector<QualityRow> rows() {
  std::vector<QualityRow> all{row("dense bf16", "dense", "bf16", 16e9, 2.0), row("dense int4", "dense", "int4", 4.25e9, 2.05),
                              row("wanda 50 % int4", "wanda", "int4", 3e9, 2.2), row("sparsegpt 50 % int4", "sparsegpt", "int4", 3e9, 2.1),
                              row("magnitude 50 % int4", "magnitude", "int4", 3.5e9, 3.3)};
  all[3].distance = QualityDistance{0.0123, 0.0004, 0.91};
  return all;
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a finished row is read back as it was") {
  for (const QualityRow& wanted : rows()) {
    const auto json = parse_json(row_json(wanted).dump(), "row");
    REQUIRE(json.ok());
    const auto found = parse_row(*json, "row");
    REQUIRE(found.ok());
    CHECK(row_json(*found) == row_json(wanted));
    CHECK(found->text_id == wanted.text_id);
    CHECK(found->perplexity == wanted.perplexity);
    CHECK(found->distance.has_value() == wanted.distance.has_value());
  }
}

TEST_CASE("a row that lacks something, or has it in another type, is refused by name") {
  const Json whole = *parse_json(row_json(rows()[3]).dump(), "row");
  for (const auto& [key, value] : whole.items()) {
    if (key == "kl_divergence") continue;  // absent: not compared
    CAPTURE(key);
    Json less = whole;
    less.erase(key);
    const auto without = parse_row(less, "that file");
    REQUIRE_FALSE(without.ok());
    CHECK_THAT(without.error().message, Contains("that file") && Contains("\"" + key + "\""));
    less[key] = Json::array();
    CHECK_FALSE(parse_row(less, "that file").ok());
  }
  CHECK_FALSE(parse_row(Json::array(), "that file").ok());
}

TEST_CASE("the front is what nothing else beats in both bytes and prediction") {
  CHECK(pareto_front(rows()) == std::vector<bool>{true, true, false, true, false});
  // Equal in both: the first of them.
  CHECK(pareto_front({row("a", "dense", "int4", 4e9, 2), row("b", "dense", "int4", 4e9, 2)}) == std::vector<bool>{true, false});
  CHECK(pareto_front({}).empty());
}

TEST_CASE("Markdown has one column for each head, and says what is missing") {
  const std::string whole = quality_text(rows(), {.lines = {"Text: some."}, .n_points = 5}, "md");
  CHECK_THAT(whole, Contains("- Text: some.\n") && !Contains("Not finished"));
  CHECK_THAT(whole, Contains("| sparsegpt 50 % int4 | 50.0 % unstructured | 3 GB | 5 GB |") && Contains("| +10.52 % | 0.7000 | 0.0123 ± 0.0004 | 91.0 % | yes |"));
  std::istringstream lines(whole.substr(whole.find("| model")));
  std::string line;
  std::size_t bars = 0;
  while (std::getline(lines, line)) {
    if (bars == 0) bars = count(line, "|");
    CHECK(count(line, "|") == bars);
  }
  CHECK_THAT(quality_text(rows(), {.lines = {}, .n_points = 9}, "md"), Contains("5 of 9 points"));
  CHECK(quality_text({}, {.lines = {}, .n_points = 1}, "md") == "- **Not finished: 0 of 1 points.**\n");
}

TEST_CASE("perplexities of other tokens are not set against each other") {
  std::vector<QualityRow> all = rows();
  CHECK(same_text(all));
  all[1].text_id = 7;
  CHECK_FALSE(same_text(all));
  CHECK_THAT(quality_text(all, {}, "md"), Contains("other tokens"));
  CHECK_THAT(quality_svg(all), Contains("bits per byte of the text") && !Contains("perplexity of the text"));
}

TEST_CASE("CSV has as many fields in every line as in its head") {
  std::istringstream lines(quality_text(rows(), {}, "csv"));
  std::string line;
  std::size_t commas = 0, n_lines = 0;
  while (std::getline(lines, line)) {
    std::size_t outside = 0;
    bool quoted = false;
    for (const char c : line) {
      quoted = quoted != (c == '"');
      outside += c == ',' && !quoted;
    }
    if (n_lines++ == 0) commas = outside;
    CHECK(outside == commas);
  }
  CHECK(n_lines == 6);
}

TEST_CASE("the plot shows every row, the front, and what is near the dense model by itself") {
  const std::string svg = quality_svg(rows());
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK_THAT(svg, Contains("Perplexity against what a token costs to read") && Contains("weights read for a token, GB") &&
                      Contains("best of its size") && Contains("within 10 % of dense bf16") && Contains(">sparsegpt</text>") && Contains(">int4 values</text>"));
  // Whole: dense, three methods and the front; near: dense and the front (e^0.05 is within 10 %, e^0.1 is not).
  CHECK(count(svg, "<polyline") == 5 + 2);
  CHECK(count(svg, "stroke-width=\"7\"") == 2 + 1);  // and in the legend, of which there is one
  CHECK(count(svg, ">sparsegpt</text>") == 1);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
  CHECK_THAT(quality_svg({}), Contains("</svg>"));
  CHECK(quality_svg({row("one", "dense", "int8", 1, 0)}).find("nan") == std::string::npos);
}
