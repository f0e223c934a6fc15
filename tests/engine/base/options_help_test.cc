#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "engine/base/options.h"
#include "tests/support/shared_data.h"

using namespace colonnade;

namespace {

CommandSpec spec() {
  return {"pack", "Packs a model.", "Details.", {{"SOURCE", "a directory"}},
          {{.name = "values", .kind = OptionKind::kChoice, .default_value = "bf16", .value_name = "FORMAT",
            .help = "How to store weights.", .choices = {"f32", "bf16"}},
           {.name = "output", .value_name = "DIR", .help = std::string(200, 'x') + " end", .short_name = 'o'},
           {.name = "inner", .hidden = true}}};
}

/// What bash would offer after the words.
std::string complete(const std::string& words) {
  const CommandSpec specs[] = {spec()};
  const auto script = tests::scratch_folder() / "completion.bash";
  std::ofstream(script) << bash_completion(specs, "colonnade") << "COMP_WORDS=(" << words << ")\n"
                        << "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_colonnade\necho \"${COMPREPLY[*]}\"\n";
  FILE* pipe = popen(("bash " + script.string()).c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out;
  for (int c; (c = fgetc(pipe)) != EOF;) out += static_cast<char>(c);
  CHECK(pclose(pipe) == 0);
  return out;
}

}  // namespace

TEST_CASE("help lists usage, arguments, defaults and choices, and hides inner options") {
  const std::string help = help_text(spec(), "colonnade");
  for (const char* part : {"usage: colonnade pack SOURCE [options]", "Packs a model.", "Details.",
                           "--values FORMAT", "One of f32, bf16. [bf16]", "-o, --output DIR", "--config FILE"}) {
    CAPTURE(part);
    CHECK(help.find(part) != std::string::npos);
  }
  CHECK(help.find("inner") == std::string::npos);
}

TEST_CASE("bash offers commands, options and choices") {
  CHECK(complete("colonnade pa") == "pack\n");
  CHECK(complete("colonnade pack --va") == "--values\n");
  CHECK(complete("colonnade pack --values b") == "bf16\n");
  CHECK(complete("colonnade pack --inn") == "\n");
  CHECK(complete("colonnade help pa") == "pack\n");
}
