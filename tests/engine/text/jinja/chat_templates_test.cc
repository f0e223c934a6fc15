// Chat templates of published models against the text that Python's Jinja2 makes of them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/text/chat_template.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

namespace {

using colonnade::OrderedJson;
using colonnade::engine::ChatTemplates;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::tm time_of(const std::string& iso) {
  std::tm now{};
  REQUIRE(strptime(iso.c_str(), "%Y-%m-%dT%H:%M:%S", &now) != nullptr);
  return now;
}

}  // namespace

TEST_CASE("published chat templates render as with Jinja2") {
  COLONNADE_SHARED_PATH(folder, "data/chat_templates");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().string().ends_with(".cases.json")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  CHECK(files.size() == 40);
  int n_cases = 0, n_errors = 0;
  for (const auto& path : files) {
    const OrderedJson file = OrderedJson::parse(read_file(path));
    const std::string name = file["template"];
    const auto templates = ChatTemplates::from_text(read_file(folder / name), name);
    INFO(name);
    if (!templates.ok()) FAIL_CHECK(templates.error().message);
    if (!templates.ok()) continue;
    const std::tm now = time_of(file["now"]);
    for (const OrderedJson& one : file["cases"]) {
      INFO(one["name"].get<std::string>());
      const auto rendered = templates->render_variables(one["inputs"], [&] { return now; });
      ++n_cases;
      if (one.contains("error")) {
        ++n_errors;
        CHECK_FALSE(rendered.ok());
        if (one["error"] == "raise_exception" && !rendered.ok())
          CHECK(rendered.error().message.find(one["message"].get<std::string>()) != std::string::npos);
        continue;
      }
      if (!rendered.ok()) FAIL_CHECK(rendered.error().message);
      else CHECK(rendered->text == one["expected"].get<std::string>());
    }
  }
  CHECK(n_cases == 323);
  CHECK(n_errors == 10);
}
