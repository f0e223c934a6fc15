// The language: thousands of small templates against what Python's Jinja2 made of them (cases.jsonl, make_cases.py).
#include <catch2/catch.hpp>

#include <ctime>
#include <fstream>
#include <string>

#include "engine/text/chat_template.h"
#include "tests/support/shared_data.h"

using colonnade::OrderedJson;
using colonnade::engine::ChatTemplates;

TEST_CASE("small templates render as with Jinja2") {
  std::ifstream in(colonnade::tests::source_folder() / "tests/engine/text/jinja/cases.jsonl", std::ios::binary);
  std::string line;
  REQUIRE(std::getline(in, line));
  const OrderedJson head = OrderedJson::parse(line);
  std::tm now{};
  REQUIRE(strptime(head["now"].get<std::string>().c_str(), "%Y-%m-%dT%H:%M:%S", &now) != nullptr);
  int n_cases = 0, n_wrong = 0;
  while (std::getline(in, line)) {
    const OrderedJson one = OrderedJson::parse(line);
    const auto source = one[0].get<std::string>();
    const OrderedJson& expected = one[1];
    ++n_cases;
    const auto compiled = ChatTemplates::from_text(source, "case");
    std::string found;
    bool failed = !compiled.ok();
    if (failed) {
      found = compiled.error().message;
    } else {
      const auto rendered = compiled->render_variables(head["variables"], [&] { return now; });
      failed = !rendered.ok();
      found = failed ? rendered.error().message : rendered->text;
    }
    if (failed == expected.is_null() && (failed || found == expected.get<std::string>())) continue;
    ++n_wrong;
    UNSCOPED_INFO(one[0].dump() << "\n  expected " << expected.dump() << "\n  found " << (failed ? "error " : "") << found);
  }
  CHECK(n_cases > 7000);
  CHECK(n_wrong == 0);
}
