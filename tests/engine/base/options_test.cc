#include "engine/base/options.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/shared_data.h"

using namespace colonnade;

namespace {

CommandSpec spec() {
  return {"serve", "Serves.", "", {{"MODEL", "a model directory"}},
          {{.name = "port", .kind = OptionKind::kInt, .default_value = "8080", .min = 1, .max = 65535},
           {.name = "temperature", .kind = OptionKind::kNumber, .min = 0},
           {.name = "memory", .kind = OptionKind::kBytes},
           {.name = "values", .kind = OptionKind::kChoice, .choices = {"f32", "bf16", "int8"}},
           {.name = "stream", .kind = OptionKind::kFlag},
           {.name = "stop", .repeatable = true},
           {.name = "output", .value_name = "FILE", .short_name = 'o'}}};
}

using Environment = std::map<std::string, std::string>;

Result<Options> parse(const std::vector<std::string>& arguments, const Environment& environment = {},
                      const CommandSpec& command = spec()) {
  return parse_options(command, arguments, [&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

std::string error_of(const std::vector<std::string>& arguments, const Environment& environment = {}) {
  const auto result = parse(arguments, environment);
  if (result.ok()) return "no error";
  return result.error().message;
}

std::string write_config(const std::string& content) {
  const std::string path = tests::scratch_folder() / "colonnade.conf";
  std::ofstream(path) << content;
  return path;
}

}  // namespace

TEST_CASE("flags are read in both spellings, in any order with positionals") {
  const auto options = parse({"--port=81", "dir", "--temperature", "0.5", "--memory", "2K", "--values=int8", "--stream"});
  REQUIRE(options.ok());
  CHECK(options->integer("port") == 81);
  CHECK(options->number("temperature") == 0.5);
  CHECK(options->bytes("memory") == 2048);
  CHECK(options->text("values") == "int8");
  CHECK(options->flag("stream"));
  CHECK(options->positional("MODEL") == "dir");
  CHECK(parse({"dir", "-o", "x"})->text("output") == "x");
}

TEST_CASE("what is not given has its default or is unset") {
  const auto options = parse({"dir"});
  REQUIRE(options.ok());
  CHECK(options->integer("port") == 8080);
  CHECK(options->is_set("port"));
  CHECK(options->source("port") == OptionSource::kDefault);
  CHECK_FALSE(options->is_set("memory"));
  CHECK(options->bytes("memory") == 0);
  CHECK_FALSE(options->flag("stream"));
  CHECK(options->list("stop").empty());
}

TEST_CASE("a flag beats the environment, which beats the file, which beats the default") {
  const std::string file = write_config("# ports\nport = 1  # one\n\nvalues=bf16\nstream = yes\nstop = a\nstop = b c\n");
  const Environment environment{{"COLONNADE_PORT", "2"}, {"COLONNADE_CONFIG", file}};
  const auto from_file = parse({"dir", "--config", file});
  REQUIRE(from_file.ok());
  CHECK(from_file->integer("port") == 1);
  CHECK(from_file->source("port") == OptionSource::kFile);
  CHECK(from_file->flag("stream"));
  CHECK(from_file->list("stop") == std::vector<std::string>{"a", "b c"});
  const auto from_environment = parse({"dir"}, environment);
  CHECK(from_environment->integer("port") == 2);
  CHECK(from_environment->text("values") == "bf16");
  const auto from_flag = parse({"dir", "--port", "3", "--no-stream", "--stop", "x"}, environment);
  CHECK(from_flag->integer("port") == 3);
  CHECK(from_flag->source("port") == OptionSource::kFlag);
  CHECK_FALSE(from_flag->flag("stream"));
  CHECK(from_flag->list("stop") == std::vector<std::string>{"x"});
}

TEST_CASE("two dashes end the options, and negative numbers are no options") {
  auto command = spec();
  command.positionals.push_back({"TEXT", "words", false, true});
  CHECK(parse({"dir", "-5", "--", "--port", "x"}, {}, command)->list("TEXT") ==
        std::vector<std::string>{"-5", "--port", "x"});
  CHECK(parse({"dir", "--temperature", "-1"}, {}, command).error().message ==
        "--temperature: expected a number of at least 0, found \"-1\"");
}

TEST_CASE("an unknown option names the nearest one") {
  CHECK(error_of({"dir", "--prot", "1"}) == "unknown option --prot; did you mean --port?");
  CHECK(error_of({"dir", "--temp=1"}) == "unknown option --temp; did you mean --temperature?");
  CHECK(error_of({"dir", "--qqqqqq"}) == "unknown option --qqqqqq");
  CHECK(error_of({"dir", "-x"}) == "unknown option -x");
  CHECK(error_of({"dir", "--no-port"}).starts_with("unknown option --no-port"));
}

TEST_CASE("a malformed value names the option, the expected and the found value") {
  CHECK(error_of({"dir", "--port", "0"}) == "--port: expected a whole number from 1 to 65535, found \"0\"");
  CHECK(error_of({"dir", "--port", "80x"}) == "--port: expected a whole number from 1 to 65535, found \"80x\"");
  CHECK(error_of({"dir", "--port"}) == "--port: expected a value, found the end of the line");
  CHECK(error_of({"dir", "--output", "--stream"}) == "--output: expected a value (FILE), found \"--stream\"");
  CHECK(error_of({"dir", "--values", "int9"}) ==
        "--values: expected one of f32, bf16, int8; found \"int9\"; did you mean int8?");
  CHECK(error_of({"dir", "--stream=maybe"}) == "--stream: expected true or false, found \"maybe\"");
  CHECK(error_of({"dir", "--temperature", "nan"}).find("found \"nan\"") != std::string::npos);
  CHECK(error_of({"dir", "--memory", "8X"}).starts_with("--memory: expected a size"));
  CHECK(error_of({"dir"}, {{"COLONNADE_PORT", "no"}}).starts_with("COLONNADE_PORT: expected a whole number"));
}

TEST_CASE("a bad line of the file is named by number") {
  const std::string unknown = write_config("port = 1\n\nprot = 2\n");
  CHECK(error_of({"dir", "--config", unknown}) == unknown + " line 3: unknown option prot; did you mean port?");
  const std::string malformed = write_config("port 1\n");
  CHECK(error_of({"dir", "--config", malformed}) ==
        malformed + " line 1: expected \"name = value\", found \"port 1\"");
  CHECK(error_of({"dir", "--config", "/nowhere.conf"}) == "--config: cannot read \"/nowhere.conf\"");
}

TEST_CASE("missing and extra positionals are errors") {
  CHECK(error_of({}) == "missing MODEL: a model directory");
  CHECK(error_of({"dir", "more"}) == "expected 1 argument, found one more: \"more\"");
}

TEST_CASE("the nearest word tolerates a swap and refuses what is far") {
  const std::vector<std::string> words{"serve", "run", "pack"};
  CHECK(nearest_word("sevre", words) == "serve");
  CHECK(nearest_word("rum", words) == "run");
  CHECK(nearest_word("topology", words).empty());
  CHECK(nearest_word("", words).empty());
}
